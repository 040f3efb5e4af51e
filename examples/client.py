"""Calls a server: numpy in, numpy out, no TensorFlow needed.

python examples/client.py localhost:50051
"""

import sys

import numpy as np

import tensorwire as tw

with tw.Client(sys.argv[1], timeout=5.0) as client:
    client.wait_until_ready(timeout=60.0)

    for status in client.models():
        print(status)
    for signature in client.metadata("half_plus_two").signatures.values():
        print(signature)

    # An array goes as it is; a list becomes what the signature wants.
    outputs = client.predict("half_plus_two", {"x": np.array([1, 2, 3], np.float32)})
    print(outputs["y"])
    print(client.predict("half_plus_two", [4.0, 5.0], outputs=["y"], timeout=0.5)["y"])

    # The text service: JSON in, JSON out.
    print(client.predict_text("[6.0]", model="half_plus_two"))

    try:
        client.predict("no_such_model", [1.0])
    except tw.errors.NotFoundError as error:
        print(f"as expected: {error}")
