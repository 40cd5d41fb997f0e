# frozen_string_literal: true

# Notifies a room: ruby enqueue.rb ROOM DATA
#
#     gem install aws-sdk-sqs
#
# DATA is JSON. The environment names the stack's output MessageQueueUrl: MESSAGE_QUEUE_URL.

require "digest"
require "json"
require "securerandom"

# Everybody in the room receives `data`.
#
# `optional`: `user_id` (the sender that clients see, else "system"), `to` (the one user who
# receives it), `id` (of the message, else a new one: give the same when you try again).
def enqueue(sqs, room_id, data, **optional)
  queue_url = ENV.fetch("MESSAGE_QUEUE_URL")
  message = { id: SecureRandom.uuid, room_id: room_id, data: data, **optional }
  fifo = queue_url.end_with?(".fifo") ? sequence(**message) : {}
  sqs.send_message(queue_url: queue_url, message_body: JSON.generate(message), **fifo)
end

# To a FIFO queue: a room's messages stay in order, and an id of a sender is taken once.
def sequence(id:, room_id:, user_id: "system", **)
  sender_and_id = [user_id, id].map { |part| [part.to_s.bytesize].pack("N") + part.to_s.b }
  {
    message_group_id: Digest::SHA256.hexdigest(room_id.to_s),
    message_deduplication_id: Digest::SHA256.hexdigest(sender_and_id.join)
  }
end

if $PROGRAM_NAME == __FILE__
  require "aws-sdk-sqs"

  room_id, data = ARGV
  enqueue(Aws::SQS::Client.new, room_id, JSON.parse(data))
end
