"""The conductor: pipelines, stages, visits, follow-ups, activities, flags. It calls no room above it."""
