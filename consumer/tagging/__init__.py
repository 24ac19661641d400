"""The only room that imports torch, transformers or tokenizers."""
