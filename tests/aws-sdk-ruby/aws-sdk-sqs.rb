# frozen_string_literal: true

require_relative "stand_in"

module Aws
  module SQS
    module Errors
      extend Aws::Errors
    end

    class Client
      def initialize
        @service = StandIn.new("sqs", "AmazonSQS", "1.0", Errors)
      end

      def send_message(queue_url:, message_body:, message_group_id: nil, message_deduplication_id: nil)
        @service.call(
          "SendMessage", queue_url: queue_url, message_body: message_body,
          message_group_id: message_group_id, message_deduplication_id: message_deduplication_id
        )
      end
    end
  end
end
