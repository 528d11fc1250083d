"""`responder demo`: bad releases on the sandbox, met by a real responder and judged by what really happened."""
