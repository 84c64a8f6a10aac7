"""The command that Ray starts as a worker's interpreter; see `warm_ray`.

    python -I -S warm_ray_client.py SOCKET SCRIPT [WORDS...]

It asks for a fork with its arguments, environment, folder and output, and ends when the fork does.
"""

import json
import os
import socket
import sys

if __name__ == "__main__":
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(sys.argv[1])
        socket.send_fds(server, [b"."], [1, 2])
        asked = [sys.argv[2:], dict(os.environ), os.getcwd()]
        server.sendall(json.dumps(asked).encode())
        server.shutdown(socket.SHUT_WR)
        server.recv(1)
