# frozen_string_literal: true

# Stands in for the AWS SDK for Ruby where RubyGems cannot be reached. It has the calls that docs/snippets
# make, with the SDK's names, and sends them to AWS's real API, signed by the SDK's own aws-sigv4.

require "aws-sigv4"
require "json"
require "net/http"

module Aws
  # A service that speaks AWS JSON.
  class StandIn
    def initialize(service, target, version, errors)
      @target = target
      @media_type = "application/x-amz-json-#{version}"
      @errors = errors
      @endpoint = URI.join(ENV.fetch("AWS_ENDPOINT_URL"), "/")
      @signer = Aws::Sigv4::Signer.new(
        service: service,
        region: ENV.fetch("AWS_REGION"),
        access_key_id: ENV.fetch("AWS_ACCESS_KEY_ID"),
        secret_access_key: ENV.fetch("AWS_SECRET_ACCESS_KEY"),
        session_token: ENV["AWS_SESSION_TOKEN"]
      )
    end

    # The answer to a request whose members are named as in Ruby.
    def call(operation, **members)
      body = JSON.generate(members.compact.transform_keys { |name| name.to_s.split("_").map(&:capitalize).join })
      headers = { "content-type" => @media_type, "x-amz-target" => "#{@target}.#{operation}" }
      request = { http_method: "POST", url: @endpoint, headers: headers, body: body }
      signature = @signer.sign_request(request)
      response = Net::HTTP.post(@endpoint, body, headers.merge(signature.headers))
      answer = JSON.parse(response.body)
      return answer if response.is_a?(Net::HTTPSuccess)

      raise @errors.const_get(answer.fetch("__type").split("#").last), answer["message"] || answer["Message"]
    end
  end

  # The SDK makes the class of an error when it is first named.
  module Errors
    def const_missing(name)
      const_set(name, Class.new(RuntimeError))
    end
  end
end
