# frozen_string_literal: true

# Runs enqueue.rb without AWS: inputs as JSON on stdin, what SQS would be given as JSON on stdout.

require "json"
require_relative "../enqueue"

# Prints with the names of the API.
class Sqs
  def send_message(**given)
    puts JSON.generate(given.transform_keys { |name| name.to_s.split("_").map(&:capitalize).join })
  end
end

given = JSON.parse($stdin.set_encoding(Encoding::UTF_8).read)
enqueue(Sqs.new, given["room_id"], given["data"], **given["optional"].transform_keys(&:to_sym))
