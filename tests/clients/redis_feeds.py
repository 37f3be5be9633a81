"""Publishing and subscribing by redis-py, through a pool of Redis servers."""

import sys

import redis

CHANNELS = [f"channel-{number}" for number in range(30)]

for protocol in (2, 3):
    client = redis.Redis(port=int(sys.argv[1]), protocol=protocol, decode_responses=True)
    listener = client.pubsub(ignore_subscribe_messages=True)
    listener.subscribe(*CHANNELS)
    listener.psubscribe("channel-*")
    # Subscribed once all confirmations are there.
    for _ in range(len(CHANNELS) + 1):
        assert listener.get_message(timeout=5) is None
    for channel in CHANNELS:
        assert client.publish(channel, "hello " + channel) == 2
    heard = []
    while len(heard) < 2 * len(CHANNELS):
        message = listener.get_message(timeout=5)
        assert message, heard
        heard.append((message["type"], message["channel"], message["data"]))
    expected = [(kind, channel, "hello " + channel) for channel in CHANNELS for kind in ("message", "pmessage")]
    assert sorted(heard) == sorted(expected), heard
    listener.unsubscribe()
    listener.punsubscribe()
    while listener.subscribed:
        listener.get_message(timeout=5)
    assert all(client.publish(channel, "lost") == 0 for channel in CHANNELS)
    listener.close()
