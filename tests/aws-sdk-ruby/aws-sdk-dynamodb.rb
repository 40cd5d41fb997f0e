# frozen_string_literal: true

require_relative "stand_in"

module Aws
  module DynamoDB
    module Errors
      extend Aws::Errors
    end

    GetItemOutput = Struct.new(:item)

    # Items are hashes of strings, as the tables of Hermes have them where snippets read and write.
    class Client
      def initialize
        @service = StandIn.new("dynamodb", "DynamoDB_20120810", "1.0", Errors)
      end

      def get_item(table_name:, key:, consistent_read: nil)
        answer = @service.call("GetItem", table_name: table_name, key: wire(key), consistent_read: consistent_read)
        GetItemOutput.new(answer["Item"]&.transform_values { |value| value.values.first })
      end

      def update_item(table_name:, key:, expression_attribute_values:, **expressions)
        values = wire(expression_attribute_values)
        @service.call(
          "UpdateItem", table_name: table_name, key: wire(key), expression_attribute_values: values, **expressions
        )
      end

      private

      def wire(strings)
        strings.transform_values { |string| { "S" => string } }
      end
    end
  end
end
