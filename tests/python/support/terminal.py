"""A terminal: a program in it believes that a person watches, and its screen can be read."""

import fcntl
import os
import pty
import struct
import termios
import threading
import time

import pyte

# Lines of the screen: more than any command prints, so that nothing scrolls away.
ROWS = 300
# Seconds that a test waits for a text.
LONGEST_WAIT = 240


class Terminal:
    """A program on a terminal of this number of columns."""

    def __init__(self, command, columns, env, cwd):
        self.screen = pyte.Screen(columns, ROWS)
        self.stream = pyte.ByteStream(self.screen)
        self.lock = threading.Lock()
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            try:
                set_size(0, columns)
                os.chdir(cwd)
                os.execve(command[0], command, env)
            finally:
                os._exit(127)
        self.status = None
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        while True:
            try:
                data = os.read(self.descriptor, 65536)
            except OSError:  # the program has ended
                break
            if not data:
                break
            with self.lock:
                # Terminals ignore this echo of Ctrl-C, but pyte begins a new line for it.
                self.stream.feed(data.replace(b"\x03", b""))
        _, status = os.waitpid(self.pid, 0)
        self.status = os.waitstatus_to_exitcode(status)
        os.close(self.descriptor)

    @property
    def lines(self):
        """What is on the screen, without the empty lines at its end."""
        with self.lock:
            lines = [line.rstrip() for line in self.screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def wait_for(self, text):
        """Waits until a text is on the screen, and returns the lines."""
        deadline = time.monotonic() + LONGEST_WAIT
        while not any(text in line for line in self.lines):
            assert self.reader.is_alive(), "\n".join(["the program has ended:", *self.lines])
            assert time.monotonic() < deadline, "\n".join([f"{text!r} is not on the screen:", *self.lines])
            time.sleep(0.02)
        return self.lines

    def type(self, text):
        os.write(self.descriptor, text.encode())

    def finish(self):
        """Waits until the program ends, and returns its status and the lines."""
        self.reader.join(LONGEST_WAIT)
        assert not self.reader.is_alive(), "\n".join(["the program goes on:", *self.lines])
        return self.status, self.lines


def set_size(descriptor, columns):
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
