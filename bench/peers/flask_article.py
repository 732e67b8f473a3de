"""The program of the article, as it says: Flask, Flask-CORS and Flask-Limiter in memory. Only its limits are raised; they are counted.
Served by gunicorn, which writes the access log. FILM names a file with the film document that every peer answers with."""
import json
import os

from flask import Flask, jsonify, request
from flask_cors import CORS
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

with open(os.environ["FILM"], encoding="utf-8") as file:
    film = json.load(file)

api = Flask(__name__)
CORS(api)
api.config["CORS_HEADERS"] = "Content-Type"
limiter = Limiter(
    get_remote_address,
    app=api,
    default_limits=["1000000000 per day", "1000000000 per hour"],
    storage_uri="memory://",
)
counts = {"like": 0, "dislike": 0}


@api.route("/", methods=["GET"])
@limiter.limit("1000000000/second", override_defaults=False)
def random_film():
    for value in counts:
        film_id = request.args.get(value)
        if film_id and film_id.isdigit():
            api.logger.critical("%s of film %s", value, film_id)
            counts[value] += 1
    return jsonify(film), 200


@api.route("/add_film", methods=["POST", "HEAD"])
@limiter.limit("1000000000/second", override_defaults=False)
def add_film():
    added = request.get_json()
    api.logger.critical("added %s", added)
    return added, 201
