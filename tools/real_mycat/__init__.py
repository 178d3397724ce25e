"""Measure a real MyCat behind the collection, on the hosts of the scenario ``mycat``.

``make real-mycat ARCHIVE=PATH SHA256=SUM JAVA=PATH JAVA_SHA256=SUM``. Prints what clients lost,
what the health endpoint said, and how soon HAProxy saw it. Behind each MyCat is its host's MariaDB.
"""
