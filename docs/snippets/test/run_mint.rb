# frozen_string_literal: true

# Runs the minting part of mint.rb: inputs as JSON on stdin, what was minted as JSON on stdout.
# With a `stored_hash` among the inputs it also prints whether that is a hash of the token.

require "json"
require_relative "../mint"

given = JSON.parse($stdin.set_encoding(Encoding::UTF_8).read)
user_id, room_id = given.values_at("user_id", "room_id")
token = HermesToken.inner_token(user_id, room_id, given["generation"], given["passcode"])
minted = {
  jwt: HermesToken.sign(user_id, room_id, token, given["jwt_secret"], given["ttl_seconds"]),
  token: token,
  hash: HermesToken.hash_token(token)
}
minted[:is_hash] = HermesToken.hash_of?(given["stored_hash"], token) if given.key?("stored_hash")
puts JSON.generate(minted)
