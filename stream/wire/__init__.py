"""Messages between processes: codec, sockets, credit, outbox and the event bus. zmq lives here."""
