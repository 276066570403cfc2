import pytest
import zmq
from latent_loom.backend.errors import BadRequest
from latent_loom.backend.service.auth import CurveKeys, Doorkeeper, is_loopback, refuse_open_address
from latent_loom.backend.service.settings import ServeSettings

TOKEN = "t" * 64


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:0", "tcp://127.5.0.1:99", "tcp://[::1]:7", "tcp://localhost:*"])
def test_loopback_addresses_are_known(address):
    assert is_loopback(address)


@pytest.mark.parametrize(
    "address", ["tcp://0.0.0.0:0", "tcp://*:5555", "tcp://192.168.0.7:1", "tcp://[::]:1", "tcp://example.org:1"]
)
def test_every_other_address_is_refused_without_keys(address):
    assert not is_loopback(address)
    with pytest.raises(BadRequest, match="can be reached from other machines"):
        ServeSettings(address=address)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:5", "ipc:///tmp/x", "tcp://127.0.0.1", "tcp://:5", "", "tcp://127.0.0.1:x", "tcp://127.0.0.1:65536"],
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(BadRequest, match="is not an address to listen on"):
        ServeSettings(address=address)


def test_with_keys_an_address_beyond_loopback_is_allowed():
    refuse_open_address(
        "tcp://0.0.0.0:0", CurveKeys(public_key="p" * 40, secret_key="s" * 40, allowed_clients={"c" * 40})
    )


def test_an_empty_list_of_clients_is_refused():
    with pytest.raises(BadRequest, match="nobody could connect"):
        CurveKeys(public_key="p" * 40, secret_key="s" * 40, allowed_clients=frozenset())


class Door:
    """A ROUTER behind a doorkeeper, served by polling."""

    def __init__(self, context, curve=None):
        self.context = context
        self.keeper = Doorkeeper(context, TOKEN, curve)
        self.router = context.socket(zmq.ROUTER)
        self.router.linger = 0
        self.keeper.secure(self.router)
        self.router.bind("tcp://127.0.0.1:0")

    def hears(self, **options) -> bool:
        """Whether a message of a client with these socket options comes through."""
        client = self.context.socket(zmq.DEALER)
        client.linger = 0
        for name, value in options.items():
            client.setsockopt(getattr(zmq, name), value)
        client.connect(self.router.getsockopt_string(zmq.LAST_ENDPOINT))
        client.send(b"hello")
        try:
            for _ in range(20):
                self.keeper.answer()
                if self.router.poll(50):
                    return self.router.recv_multipart()[1] == b"hello"
                if self.keeper.refused:
                    return False
            return False
        finally:
            client.close()


@pytest.fixture
def context():
    with zmq.Context() as made:
        yield made


@pytest.fixture
def door(context):
    made = []

    def make(curve=None):
        made.append(Door(context, curve))
        return made[-1]

    yield make
    for one in made:
        one.router.close()
        one.keeper.close()


def test_the_right_token_opens(door):
    assert door().hears(PLAIN_USERNAME=b"latent-loom", PLAIN_PASSWORD=TOKEN.encode())


@pytest.mark.parametrize("password", [b"-", b"t" * 63, b"t" * 65, b"u" * 64])
def test_another_token_does_not(door, password):
    made = door()
    assert not made.hears(PLAIN_USERNAME=b"latent-loom", PLAIN_PASSWORD=password)
    assert made.keeper.refused == 1


def test_without_a_token_nobody_comes_in(door):
    assert not door().hears()


def test_a_client_key_on_the_list_opens_and_another_does_not(door):
    public, secret = (key.decode() for key in zmq.curve_keypair())
    friend_public, friend_secret = zmq.curve_keypair()
    stranger_public, stranger_secret = zmq.curve_keypair()
    keys = CurveKeys(public_key=public, secret_key=secret, allowed_clients=frozenset({friend_public.decode()}))
    made = door(keys)
    server = {"CURVE_SERVERKEY": public.encode()}
    assert made.hears(**server, CURVE_PUBLICKEY=friend_public, CURVE_SECRETKEY=friend_secret)
    assert not made.hears(**server, CURVE_PUBLICKEY=stranger_public, CURVE_SECRETKEY=stranger_secret)


def test_behind_curve_the_token_opens_nothing(door):
    public, secret = (key.decode() for key in zmq.curve_keypair())
    keys = CurveKeys(public_key=public, secret_key=secret, allowed_clients=frozenset({"c" * 40}))
    assert not door(keys).hears(PLAIN_USERNAME=b"latent-loom", PLAIN_PASSWORD=TOKEN.encode())
