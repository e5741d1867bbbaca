"""What `typestream demo` runs on where no endpoint is set: a tiny local language model, and a server that speaks
OpenAI's wire format and is fed by it. Not part of the public interface."""
