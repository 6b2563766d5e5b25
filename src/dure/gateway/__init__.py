from dure.gateway import native

native.prefer()
