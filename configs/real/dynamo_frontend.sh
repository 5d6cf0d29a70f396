python -m dynamo.frontend --http-port 8000 --router-mode kv --router-temperature 0.0 --router-kv-overlap-score-weight 1.0
