# frozen_string_literal: true

# Mints the token with which one user joins one room: ruby mint.rb USER ROOM
#
#     gem install jwt bcrypt aws-sdk-dynamodb aws-sdk-secretsmanager
#
# The environment names three outputs of the stack: CREDENTIALS_TABLE (CredentialsTable),
# JWT_SECRET_ARN (JwtSecretArn) and PASSCODE_SECRET_ARN (PasscodeSecretArn).

require "bcrypt"
require "jwt"
require "openssl"
require "securerandom"

module HermesToken
  module_function

  # The secret inside the JWT: always the same, until the row gets a new generation.
  def inner_token(user_id, room_id, generation, passcode)
    message = [user_id, room_id, generation].map { |part| [part.bytesize].pack("N") + part.b }.join
    OpenSSL::HMAC.hexdigest("SHA256", passcode, message)
  end

  # What the Credentials table keeps instead of the token.
  def hash_token(token)
    BCrypt::Password.create(token, cost: 10).to_s
  end

  def hash_of?(stored_hash, token)
    BCrypt::Password.new(stored_hash) == token
  end

  # The JWT for the browser. It is accepted for `ttl_seconds`; the ids are strings.
  def sign(user_id, room_id, token, jwt_secret, ttl_seconds)
    claims = { user_id: user_id, room_id: room_id, token: token, exp: Time.now.to_i + ttl_seconds }
    JWT.encode(claims, jwt_secret, "HS512")
  end

  # The inner token that the table admits. Writes only where it admits none of ours yet.
  def current_token(dynamodb, table, user_id, room_id, passcode)
    key = { "user_id" => user_id, "room_id" => room_id }
    5.times do
      row = dynamodb.get_item(table_name: table, key: key, consistent_read: true).item || {}
      generation = row["generation"]
      if generation && row["token"]
        token = inner_token(user_id, room_id, generation, passcode)
        return token if hash_of?(row["token"], token)
      end

      new_generation = SecureRandom.hex(16)
      token = inner_token(user_id, room_id, new_generation, passcode)
      begin
        dynamodb.update_item(
          table_name: table,
          key: key,
          update_expression: "SET generation = :generation, #token = :hash",
          condition_expression:
            generation ? "generation = :read" : "attribute_not_exists(generation)",
          expression_attribute_names: { "#token" => "token" },
          expression_attribute_values: {
            ":generation" => new_generation,
            ":hash" => hash_token(token),
            ":read" => generation
          }.compact
        )
        return token
      rescue Aws::DynamoDB::Errors::ConditionalCheckFailedException
        next # somebody else wrote the row first: read what they wrote
      end
    end
    raise "the row of this user and room kept changing"
  end
end

if $PROGRAM_NAME == __FILE__
  require "aws-sdk-dynamodb"
  require "aws-sdk-secretsmanager"

  user_id, room_id = ARGV

  # A server does this once, when it starts.
  dynamodb = Aws::DynamoDB::Client.new
  secrets_manager = Aws::SecretsManager::Client.new
  passcode, jwt_secret = %w[PASSCODE_SECRET_ARN JWT_SECRET_ARN].map do |name|
    secrets_manager.get_secret_value(secret_id: ENV.fetch(name)).secret_string
  end

  table = ENV.fetch("CREDENTIALS_TABLE")
  token = HermesToken.current_token(dynamodb, table, user_id, room_id, passcode)
  puts HermesToken.sign(user_id, room_id, token, jwt_secret, 3600)
end
