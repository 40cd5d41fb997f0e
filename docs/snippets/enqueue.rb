# frozen_string_literal: true

# Notifies a room: ruby enqueue.rb ROOM DATA
#
#     gem install aws-sdk-sqs
#
# DATA is JSON. The environment names the stack's output MessageQueueUrl: MESSAGE_QUEUE_URL.

require "aws-sdk-sqs"
require "json"

# Everybody in the room receives `data`.
#
# `optional`: `user_id` (the sender that clients see, else "system"), `to` (the one user who
# receives it), `id` (of the message, else a new one).
def enqueue(sqs, room_id, data, **optional)
  sqs.send_message(
    queue_url: ENV.fetch("MESSAGE_QUEUE_URL"),
    message_body: JSON.generate({ room_id: room_id, data: data, **optional })
  )
end

if $PROGRAM_NAME == __FILE__
  room_id, data = ARGV
  enqueue(Aws::SQS::Client.new, room_id, JSON.parse(data))
end
