"""A demonstration: the machine that answers is killed mid-sentence, and the sentence ends."""
