# frozen_string_literal: true

require_relative "stand_in"

module Aws
  module SecretsManager
    module Errors
      extend Aws::Errors
    end

    GetSecretValueResponse = Struct.new(:secret_string)

    class Client
      def initialize
        @service = StandIn.new("secretsmanager", "secretsmanager", "1.1", Errors)
      end

      def get_secret_value(secret_id:)
        GetSecretValueResponse.new(@service.call("GetSecretValue", secret_id: secret_id)["SecretString"])
      end
    end
  end
end
