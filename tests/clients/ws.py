"""Python's websockets: subscribe, receive, resume after a reconnect."""
import asyncio, json, sys, urllib.request
import websockets

site, backend = sys.argv[1:3]


def push(channel, data):
    req = urllib.request.Request(backend + "channels/" + channel, json.dumps(data).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(req) as r:
        return r.status, json.load(r)


async def main():
    loop = asyncio.get_running_loop()
    url = site.replace("http", "ws", 1) + "ws?channels=py"
    async with websockets.connect(url, subprotocols=["encke.json"]) as ws:
        assert ws.subprotocol == "encke.json"
        assert json.loads(await ws.recv())["subscribed"]["channel"] == "py"
        status, answer = await loop.run_in_executor(None, push, "py", {"n": 1})
        assert status == 201 and answer["subscribers"] == 1, answer
        got = json.loads(await ws.recv())
        assert got["data"] == {"n": 1} and got["position"] == answer["position"], got
        await (await ws.ping())
    status, _ = await loop.run_in_executor(None, push, "py", {"n": 2})
    assert status == 202, status
    async with websockets.connect(url + "&since=" + got["position"], compression="deflate") as ws:
        assert json.loads(await ws.recv())["subscribed"]["recovered"] is True
        assert json.loads(await ws.recv())["data"] == {"n": 2}
    print("python websockets: fine")


asyncio.run(main())
