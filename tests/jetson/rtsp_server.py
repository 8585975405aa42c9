"""A network camera: RTSP (RFC 2326) with Motion JPEG (RFC 2435) over one connection, as far as FFmpeg asks for it."""

import base64
import socket
import struct
import threading
import time

import cv2

SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\na=control:track0\r\n"
MOTION_JPEG, CLOCK, MOST_BYTES = 26, 90000, 1200
LETTERS_420, TABLES_FOLLOW = 1, 255


class RtspServer:
    """Shows ``picture`` (uint8 BGR, sides of multiples of 16) 25 times a second to whoever has user and password.

    Attributes:
        stalls: connections stay, and nothing comes.
        plays: how often a client began to play.
    """

    def __init__(self, picture, user="me", password="geheim"):
        self._picture = picture
        self._login = "Basic " + base64.b64encode(("%s:%s" % (user, password)).encode()).decode()
        self.stalls, self.plays, self._connections = False, 0, []
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(8)
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        """Break all connections."""
        connections, self._connections = self._connections, []
        for connection in connections:
            connection.close()

    def close(self):
        self._socket.close()
        self.cut()

    def _accept(self):
        while True:
            try:
                connection = self._socket.accept()[0]
            except OSError:
                return
            client = RtspConnection(connection)
            self._connections.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            while True:
                method, headers = client.request()
                if headers.get("authorization") != self._login:
                    client.answer(headers, "401 Unauthorized", {"WWW-Authenticate": 'Basic realm="camera"'})
                elif method == "OPTIONS":
                    client.answer(headers, "200 OK", {"Public": "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"})
                elif method == "DESCRIBE":
                    client.answer(headers, "200 OK", {"Content-Type": "application/sdp"}, SDP)
                elif method == "SETUP":
                    assert "TCP" in headers["transport"]
                    transport = "RTP/AVP/TCP;unicast;interleaved=0-1"
                    client.answer(headers, "200 OK", {"Transport": transport, "Session": "1"})
                elif method == "PLAY":
                    client.answer(headers, "200 OK", {"Session": "1"})
                    self.plays += 1
                    self._play(client)
        except (OSError, EOFError):
            client.close()

    def _play(self, client):
        payloads, sequence, begun = motion_jpeg(self._picture), 0, time.monotonic()
        while True:
            if not self.stalls:
                stamp = int((time.monotonic() - begun) * CLOCK)
                for number, payload in enumerate(payloads):
                    mark = 0x80 if number == len(payloads) - 1 else 0
                    head = struct.pack(">BBHII", 0x80, mark | MOTION_JPEG, sequence & 0xFFFF, stamp & 0xFFFFFFFF, 7)
                    client.packet(head + payload)
                    sequence += 1
            time.sleep(0.04)


class RtspConnection:
    """One client."""

    def __init__(self, connection):
        self._connection, self._stream = connection, connection.makefile("rb")

    def request(self):
        """Method, and headers by their names in small letters."""
        lines = []
        while not lines or lines[-1]:
            line = self._stream.readline()
            if not line:
                raise EOFError()
            lines.append(line.decode().strip())
        headers = dict(line.split(": ", 1) for line in lines[1:-1])
        return lines[0].split()[0], {name.lower(): value for name, value in headers.items()}

    def answer(self, asked, status, headers, body=""):
        headers = dict(headers, CSeq=asked["cseq"], **({"Content-Length": len(body)} if body else {}))
        head = "".join("%s: %s\r\n" % item for item in headers.items())
        self._connection.sendall(("RTSP/1.0 %s\r\n%s\r\n%s" % (status, head, body)).encode())

    def packet(self, data):
        self._connection.sendall(struct.pack(">cBH", b"$", 0, len(data)) + data)

    def close(self):
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._connection.close()


def motion_jpeg(picture):
    """The payloads of one picture: RFC 2435, quantisation tables in the first."""
    jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
    tables, place = b"", 2
    while jpeg[place + 1] != 0xDA:
        length = struct.unpack(">H", jpeg[place + 2 : place + 4])[0]
        if jpeg[place + 1] == 0xDB:
            tables += b"".join(jpeg[at + 1 : at + 65] for at in range(place + 4, place + 2 + length, 65))
        place += 2 + length
    scan = jpeg[place + 2 + struct.unpack(">H", jpeg[place + 2 : place + 4])[0] : -2]
    height, width = picture.shape[:2]
    payloads = []
    for offset in range(0, len(scan), MOST_BYTES):
        head = struct.pack(">I", offset) + bytes((LETTERS_420, TABLES_FOLLOW, width // 8, height // 8))
        if offset == 0:
            head += struct.pack(">BBH", 0, 0, len(tables)) + tables
        payloads.append(head + scan[offset : offset + MOST_BYTES])
    return payloads
