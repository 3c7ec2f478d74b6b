"""The orders by httpx with HTTP/2, asyncio.gather behind a semaphore of 50: the stack of the first seed document.

    httpx_peer.py PORT CA_FILE BODIES_FILE CONNECTIONS TOKEN_BYTES

Commands and answers as in wave.h. One AsyncClient with its pool, as the documentation advises.
"""
import asyncio
import ssl
import sys
import time

import httpx

SEMAPHORE = 50


async def wave(client, url, requests, at_ns):
    gate = asyncio.Semaphore(SEMAPHORE)

    async def one(headers, body):
        async with gate:
            reply = await client.post(url, content=body, headers=headers)
            data = reply.json()
            return reply.status_code == 200 and data["status"] == "Ok" and bool(data["result"][0]["brokerOrderId"])
    while time.monotonic_ns() < at_ns:
        pass
    results = await asyncio.gather(*(one(headers, body) for headers, body in requests))
    return all(results)


async def main():
    port, ca_file, bodies_file, connections, token_bytes = sys.argv[1:6]
    with open(bodies_file, "rb") as file:
        bodies = [line.rstrip(b"\n") for line in file]
    requests = []
    for number, body in enumerate(bodies):
        token = (str(number) + "x" * int(token_bytes))[:int(token_bytes)]
        requests.append(({"content-type": "application/json", "accept": "application/json",
                          "authorization": f"Bearer {token}"}, body))
    limits = httpx.Limits(max_connections=int(connections), max_keepalive_connections=int(connections))
    url = f"https://localhost:{port}/open-api/od/v1/orders/placeorder"
    loop = asyncio.get_running_loop()
    async with httpx.AsyncClient(http2=True, verify=ssl.create_default_context(cafile=ca_file), limits=limits,
                                 trust_env=False, timeout=60) as client:
        print("ready", flush=True)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            word, at_ns = line.split()
            if word != "wave":
                raise SystemExit('a command is not "wave MONO_NS"')
            try:
                accepted = await wave(client, url, requests, int(at_ns))
            except (httpx.HTTPError, KeyError, ValueError) as error:
                print("failed", type(error).__name__, str(error)[:200], flush=True)
                continue
            print(f"done {time.monotonic_ns()}" if accepted else "failed an order was not accepted", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
