"""`responder demo`: bad releases on the sandbox, met by a real responder, judged by what happened."""
