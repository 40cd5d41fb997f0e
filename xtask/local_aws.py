"""The local AWS: ministack, mended in memory where it differs from AWS in what Hermes needs. It serves on GATEWAY_PORT
until its standard input ends (whoever starts it holds the pipe, so nothing is left even when that process is killed),
or until SIGTERM or SIGINT. It ends the functions that it started, then its process group and so itself, by SIGKILL."""
import asyncio, contextlib, contextvars, json, os, resource, shutil, signal, socketserver, sys, threading, time
from importlib.metadata import version

if version("ministack") != "1.5.33":  # the mends change private parts of exactly this version
    sys.exit("local_aws.py mends ministack 1.5.33: install xtask/requirements-ministack.txt")
PORT = os.environ.get("GATEWAY_PORT", "4566")
# On AWS a function sees nothing of the developer's shell; here it would inherit all of it. Also, the root credentials
# are the ones in the environment, AUTH enforces IAM, and without the endpoint functions would call the real AWS.
for name in set(os.environ) - {"PATH", "HOME", "LANG", "TMPDIR", "LOG_LEVEL"}: del os.environ[name]
os.environ.update(
    GATEWAY_PORT=PORT, AWS_ENDPOINT_URL=f"http://127.0.0.1:{PORT}", MINISTACK_HOST="127.0.0.1", AUTH="true",
    AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1", IOT_MTLS_ENABLED="0")

from hypercorn import asyncio as hypercorn, config  # after the environment, which ministack reads when it is imported
from ministack import app
from ministack.services import apigateway, dynamodb, lambda_svc
from ministack.services.cloudformation import provisioners
socketserver.StreamRequestHandler.disable_nagle_algorithm = True  # the runtime API: else 40 ms for each invocation

def mends(module, name):
    original = getattr(module, name)
    return lambda mended: setattr(module, name, lambda *args, **kwargs: mended(original, *args, **kwargs))

def create_route_response(_logical_id, new, _stack):
    _, _, body = apigateway._create_route_response(new["ApiId"], new["RouteId"].rpartition("/")[2], {})
    return json.loads(body)["routeResponseId"], {}

# A CloudFormation type on AWS (aws-resource-apigatewayv2-routeresponse.html). After an update the old one is deleted.
provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::RouteResponse"] = {
    "create": create_route_response, "update": lambda _id, _old, new, stack: create_route_response("", new, stack),
    "delete": lambda id, old: apigateway._delete_route_response(old["ApiId"], old["RouteId"].rpartition("/")[2], id)}

make_table = (tables := provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"])["create"]

def create_table(logical_id, new, stack):  # a property of the type (aws-resource-dynamodb-table.html), which is dropped
    made = make_table(logical_id, new, stack)
    if ttl := new.get("TimeToLiveSpecification"):
        dynamodb._update_ttl({"TableName": made[0], "TimeToLiveSpecification": ttl})
    return made

tables["create"] = create_table

@mends(lambda_svc, "_sqs_esm_concurrency")
def limit(original, esm, *args):  # a parameter of type Number is a number on AWS; as text it stops the poller
    return original({**esm, "ScalingConfig": {k: int(v) for k, v in esm.get("ScalingConfig", {}).items()}}, *args)

@mends(apigateway, "run_reentrant")
async def run(original, function, *args, thread_name=""):
    result = await original(function, *args, thread_name=thread_name)
    failed = thread_name == "ministack-apigw-authorizer" and result.get("error")
    if failed and result["body"].get("errorMessage") == "Unauthorized": raise PermissionError
    return result

@mends(apigateway, "_authorize_ws_connect")
async def authorize(original, *args):
    with contextlib.suppress(PermissionError): return await original(*args)
    return (401, "Unauthorized"), None  # this error text alone; others are 500 (apigateway-use-lambda-authorizer.html)

connection = contextvars.ContextVar("connection")  # when it began, and what $connect answered

@mends(apigateway, "_ws_request_context")
def request_context(original, *args):  # in every event (apigateway-websocket-api-mapping-template-reference.html)
    return {**original(*args), "messageDirection": "IN", "connectedAt": connection.get()["connectedAt"]}

@mends(apigateway, "_invoke_ws_lambda")
async def invoke(original, api, account, region, route, stage, socket, event_type, request, *args, **kwargs):
    answer = await original(api, account, region, route, stage, socket, event_type, request, *args, **kwargs)
    if event_type == "CONNECT": connection.get().update(answer or {})
    elif event_type == "MESSAGE" and (answer or {}).get("statusCode") == 502:  # it failed: never the error's own text
        return {"body": json.dumps({"message": "Internal server error", "connectionId": socket, "requestId": request})}
    elif event_type == "MESSAGE" and not (route.get("routeResponseSelectionExpression")
                                          and apigateway._route_responses.get(api, {}).get(route["routeId"])):
        return None  # only a route with a route response answers (apigateway-websocket-api-route-response.html)
    return answer

@mends(apigateway, "handle_websocket")
async def websocket(original, scope, receive, send, *args, **kwargs):
    async def mended_send(message):
        if message["type"] == "websocket.accept":  # $connect chooses it (websocket-connect-route-subprotocol.html)
            headers = {name.lower(): value for name, value in (answer.get("headers") or {}).items()}
            message = {**message, "subprotocol": headers.get("sec-websocket-protocol")}
        elif message["type"] == "websocket.close" and answer.get("statusCode", 200) >= 300:  # the same page
            return await apigateway._refuse_ws_handshake(scope, send, answer["statusCode"], "Refused", "", "")
        await send(message)
    connection.set(answer := {"connectedAt": int(time.time() * 1000)})
    await original(scope, receive, mended_send, *args, **kwargs)

def end(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(ChildProcessError):  # no child is left
        for _ in range(200):
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                os.killpg(0, signal.SIGTERM)  # the functions
                time.sleep(0.01)
    shutil.rmtree(lambda_svc._PROVIDED_CODE_CACHE, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)

if os.getpgrp() != os.getpid(): os.setpgid(0, 0)
for number in (signal.SIGTERM, signal.SIGINT): signal.signal(number, end)
threading.Thread(target=lambda: (sys.stdin.buffer.read(), os.kill(0, signal.SIGTERM)), daemon=True).start()
resource.setrlimit(resource.RLIMIT_NOFILE, [resource.getrlimit(resource.RLIMIT_NOFILE)[1]] * 2)  # many sockets
try:
    settings = config.Config.from_mapping(bind=[f"127.0.0.1:{PORT}"], loglevel="WARNING")
    asyncio.run(hypercorn.serve(app.app, settings, shutdown_trigger=asyncio.Event().wait))
except Exception as error:
    print(f"local_aws.py: {error!r}", file=sys.stderr, flush=True)
end()
