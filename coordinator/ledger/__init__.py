"""The store: what was asked, where it was answered and what it cost. Never a prompt or an answer.

1. A request is in the ledger before its client hears of its end: two records in the journal, one
   ``os.write`` each, which survive a ``kill -9`` of this process. Nothing in the way of an answer
   waits for a disk's confirmation or for SQLite.
2. One thread moves records from the journal into SQLite, in order, and writes in the same
   transaction how far it has come. So a replay after a crash counts nothing twice.
3. Each request gets exactly one terminal row: answered, failed, cancelled, or lost, which is what
   a request becomes that was open when an earlier process died.
4. Reports read sums by the hour that are kept beside the rows, and never the rows.
5. A store that is locked, full, read-only or damaged stops no answer: rows wait in the journal; a
   journal that cannot be written waits in memory. The operator gets one line, and the rows follow.
"""
