"""The tokens of our own resource types, as the engine, its state and its events name them."""

SECRETS = "webitel:index:Secrets"
CONFIGURATION = "webitel:index:NodeConfiguration"
HEALTH = "webitel:index:Health"

CLOUD = "webitel:index:Cloud"
NODE = "webitel:index:Node"
"""These two only gather others: no provider makes them."""

GIVEN_HOST = "webitel:index:GivenHost"

LOCAL_IMAGE = "webitel:index:LocalImage"
LOCAL_NETWORK = "webitel:index:LocalNetwork"
LOCAL_ADDRESS = "webitel:index:LocalAddress"
LOCAL_DISK = "webitel:index:LocalDisk"
LOCAL_MACHINE = "webitel:index:LocalMachine"
