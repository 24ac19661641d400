"""Finding named entities: the only room that imports torch, transformers or tokenizers.

Importing the package loads none of them; `consumer.tagging.tagger.load_tagger` does.
"""
