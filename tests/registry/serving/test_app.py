"""The application: what is composed over HTTP is what Python composes, alone and in company, and can be had again."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from registry.composer import Composer
from registry.prompts import Prompt
from registry.requests import PieceRequest
from registry.serving.service import Service
from registry.serving.settings import ServingSettings

MakeService = Callable[..., Service]
ClientOf = Callable[..., TestClient]
HEADER = 4
SHORT = {"style": "bach", "length": 60, "best_of": 3, "seed": 5}


@pytest.fixture(scope="module")
def tune(song: Callable[[int], bytes]) -> bytes:
    return song(0)


def post(client: TestClient, path: str, body: dict[str, Any]) -> Any:
    response = client.post(f"/v1/{path}", json=body)
    assert response.status_code == 200, response.text
    return response.json()


class TestComposing:
    def test_gives_what_python_gives(self, client: TestClient, composer: Composer) -> None:
        answer = post(client, "compose", SHORT)
        expected = composer.candidates(PieceRequest.model_validate(SHORT))
        assert [b64decode(each["midi"]) for each in answer["candidates"]] == [piece.midi for piece in expected]
        assert [each["score"] for each in answer["candidates"]] == [piece.score for piece in expected]
        assert [each["name"] for each in answer["candidates"]] == [piece.name for piece in expected]
        assert answer["digest"] == expected[0].digest
        assert answer["complete"]
        assert answer["request"] == {"best_of": 3, "length": 60, "seed": 5, "style": "bach"}
        best = answer["candidates"][0]
        assert best["tokens"] == len(expected[0].tokens)
        assert len(best["notes"]) == len(expected[0].notes)
        onset, duration, pitch, velocity, instrument = best["notes"][0]
        assert onset >= 0
        assert duration >= 0
        assert 0 <= pitch <= 127
        assert 1 <= velocity <= 127
        assert instrument in composer.instruments

    def test_says_what_does_not_sound_of_what_was_asked_for(self, client: TestClient) -> None:
        names = ["piano", "violin", "cello", "drums"]
        body = {**SHORT, "ahead": 3, "instruments": names}
        for candidate in post(client, "compose", body)["candidates"]:
            heard = {instrument for *_, instrument in candidate["notes"]}
            assert candidate["unheard"] == [name for name in names if name not in heard]
            assert candidate["unheard"], "three tokens start three notes at most"

    def test_gives_the_same_bytes_alone_and_in_company(
        self, make_service: MakeService, client_of: ClientOf, tune: bytes
    ) -> None:
        bodies: list[dict[str, Any]] = [
            SHORT,
            {"length": 150, "best_of": 2, "seed": 1, "guidance": 1.5},
            {"style": "jazz", "seconds": 4, "best_of": 4, "prune": True},
            {"prompt": b64encode(tune).decode(), "prompt_notes": 12, "best_of": 2, "length": 90, "rank": "likelihood"},
            {"blend": "bach, jazz", "length": 70, "best_of": 2, "weights": "int8"},
        ] * 2
        service = make_service({"rows": 12})
        client = client_of(service)

        def ask(body: dict[str, Any]) -> bytes:
            return client.post("/v1/compose", json=body).content

        alone = [ask(body) for body in bodies[:5]] * 2
        assert all(b'"complete":true' in answer for answer in alone)
        with ThreadPoolExecutor(len(bodies)) as threads:
            together = [*threads.map(ask, bodies)]
        assert together == alone
        assert service.scheduler.running == service.scheduler.queued == 0

    def test_a_link_gives_the_same_bytes_again(self, client: TestClient) -> None:
        first = client.post("/v1/compose", json=SHORT)
        link = first.json()["link"]
        assert client.get(link).content == first.content
        files = {c["number"]: c["midi"] for c in first.json()["candidates"]}
        best = client.get(f"{link}/midi")
        assert best.content == b64decode(first.json()["candidates"][0]["midi"])
        assert best.headers["content-type"] == "audio/midi"
        assert client.get(f"{link}/midi?candidate=2").content == b64decode(files[2])
        assert client.get(f"{link}/midi?candidate=7").status_code == 404
        assert client.get("/v1/pieces/" + "0" * 32).status_code == 404

    def test_a_prompt_is_the_text_of_a_midi_file_or_of_tokens(
        self, client: TestClient, composer: Composer, tune: bytes
    ) -> None:
        first = post(client, "compose", SHORT)["candidates"][0]
        body = {"length": 80, "best_of": 1}
        as_tokens = post(client, "compose", {**body, "prompt": first["node"]["tokens"]})
        tokens = Prompt(first["node"]["tokens"].encode(), "prompt.txt")
        expected = composer.answer(PieceRequest(**body), tokens)
        assert b64decode(as_tokens["candidates"][0]["midi"]) == expected.midi
        assert as_tokens["request"]["prompt"] == tokens.sha256
        as_midi = post(
            client, "compose", {**body, "length": 200, "prompt": b64encode(tune).decode(), "instruments": "violin"}
        )
        assert as_midi["notices"] == ["the prompt plays piano; its notes stay, and mostly violin will follow"]


class TestGoingOn:
    def test_is_not_having_stopped(self, client: TestClient) -> None:
        whole = {c["number"]: c["node"]["tokens"] for c in post(client, "compose", SHORT)["candidates"]}
        begun = post(client, "compose", {**SHORT, "ahead": 20})
        assert [len(c["node"]["tokens"].split()) for c in begun["candidates"]] == [24] * 3
        for candidate in begun["candidates"]:
            further = post(client, "continue", {"node": candidate["node"], "ahead": 7})
            (last,) = post(client, "continue", {"node": further["candidates"][0]["node"]})["candidates"]
            assert last["node"]["tokens"] == whole[candidate["number"]]

    def test_from_an_earlier_place_with_other_settings_is_a_branch(self, client: TestClient) -> None:
        node = post(client, "compose", SHORT)["candidates"][0]["node"]
        branches = post(client, "continue", {"node": node, "at": 20, "changes": {"seed": 9, "temperature": 0.9}})
        assert len({c["node"]["tokens"] for c in branches["candidates"]}) == 3
        assert {tuple(c["node"]["tokens"].split()[:20]) for c in branches["candidates"]} == {
            tuple(node["tokens"].split()[:20])
        }
        assert {c["node"]["parent"] is not None and c["node"]["at"] for c in branches["candidates"]} == {20}

    def test_from_a_time(self, client: TestClient) -> None:
        best = post(client, "compose", SHORT)["candidates"][0]
        half = best["seconds"] / 2
        (other,) = post(client, "continue", {"node": best["node"], "at_seconds": half})["candidates"]
        assert other["node"]["tokens"] == best["node"]["tokens"]
        assert HEADER < other["node"]["at"] < best["tokens"]

    def test_of_another_model_is_refused(self, client: TestClient) -> None:
        node = post(client, "compose", {**SHORT, "ahead": 4})["candidates"][0]["node"]
        answer = client.post("/v1/continue", json={"node": {**node, "model": "ab" * 32}})
        assert answer.status_code == 422
        assert "the node is of the model 'abababababab'" in answer.json()["error"]


def test_an_infill_leaves_the_rest(client: TestClient, tune: bytes, composer: Composer) -> None:
    body = {"prompt": b64encode(tune).decode(), "infill": "0.3s-0.8s", "best_of": 2}
    answer = post(client, "infill", body)
    expected = composer.candidates(
        PieceRequest(infill="0.3s-0.8s", best_of=2, prompt=Path("prompt.mid")), Prompt(tune, "p.mid")
    )
    assert [b64decode(each["midi"]) for each in answer["candidates"]] == [piece.midi for piece in expected]


def test_a_score_is_the_critic_s_and_the_model_s(client: TestClient) -> None:
    best = post(client, "compose", {**SHORT, "rank": "likelihood"})["candidates"][0]
    found = post(client, "score", {"piece": best["node"]["tokens"]})
    assert 0 <= found["score"] <= 1
    assert found["notes"] == len(best["notes"])
    assert found["nats_per_note"] == pytest.approx(
        found["nats_per_token"] * (found["tokens"] - HEADER) / found["notes"]
    )
    assert found["curve"][-1][0] <= found["seconds"]
    by_midi = post(client, "score", {"piece": best["midi"], "style": "bach"})
    assert by_midi["notes"] == pytest.approx(found["notes"], abs=2)


def test_the_model_is_described(client: TestClient, composer: Composer) -> None:
    (model,) = client.get("/v1/models").json()["models"]
    assert (model["reference"], model["card"], model["has_critic"]) == ("champion", "# A card", True)
    assert model["styles"] == ["bach", "jazz"]
    violin = next(each for each in model["instruments"] if each["name"] == "violin")
    assert (violin["group"], violin["program"], violin["drums"]) == ("strings", 40, False)
    assert model["limits"]["queue"] == 32
    assert model["digest"] == composer.identity.digest
    styles = client.get("/v1/styles").json()["styles"]
    assert [(each["name"], each["nearest"]) for each in styles] == [("bach", ["jazz"]), ("jazz", ["bach"])]
    missing = client.get("/v1/openings")
    assert missing.status_code == 404
    assert "this one was loaded without its lake" in missing.json()["error"]


class TestErrors:
    @pytest.mark.parametrize(
        ("path", "body", "sentence"),
        [
            ("compose", {"temprature": 1}, "no setting 'temprature'; nearest: 'temperature'"),
            ("compose", {"style": "polka"}, "no style 'polka'; there are: bach, jazz"),
            ("compose", {"length": 8}, "length = 8: Input should be greater than or equal to 32"),
            ("compose", {"length": "64"}, "length = '64': Input should be a valid integer"),
            ("compose", {"length": 64, "seconds": 9}, "exclude each other; give one"),
            (
                "compose",
                {"length": 100_000},
                "would have 100,000 tokens; on this server it has 16,384 at most",
            ),
            ("compose", {"seconds": 5000}, "the piece would last 5000 s; on this server it has 600 s at most"),
            ("compose", {"best_of": 64}, "best_of = 64: this server composes 16 candidates at most"),
            ("compose", {"prompt": "AAAA"}, "the prompt prompt.mid cannot be used"),
            ("compose", {"prompt": "/etc/passwd"}, "the prompt prompt.txt cannot be used"),
            ("compose", {"prompt": "bach piano"}, "the prompt prompt.txt cannot be used"),
            ("infill", {"prompt": "bach piano"}, "infill, replace or add say what to compose anew; give one"),
            ("infill", {"replace": ["piano"]}, "give the piece to change as prompt or opening"),
            ("continue", {}, "node: Field required"),
            ("score", {"piece": "bach piano start tempo120"}, "the piece has no note"),
            ("score", {"piece": ""}, "the prompt piece.mid cannot be used: not_midi: the file is empty"),
        ],
    )
    def test_what_is_wrong_is_said_in_one_sentence(
        self, path: str, body: dict[str, Any], sentence: str, client: TestClient
    ) -> None:
        answer = client.post(f"/v1/{path}", json=body)
        assert (answer.status_code, [*answer.json()]) == (422, ["error"])
        assert sentence in answer.json()["error"]
        assert "\n" not in answer.json()["error"]

    @pytest.mark.parametrize(
        ("content", "kind"), [("{", "application/json"), ("[]", "application/json"), ('{"length": 64}', "text/plain")]
    )
    def test_a_body_is_a_json_object(self, content: str, kind: str, client: TestClient) -> None:
        """Of the content type of JSON, which a page of another site cannot send."""
        answer = client.post("/v1/compose", content=content, headers={"content-type": kind})
        assert answer.status_code == 422
        assert "JSON" in answer.json()["error"]

    def test_other_paths_and_methods(self, client: TestClient) -> None:
        assert client.get("/v1/nothing").json() == {"error": "Not Found"}
        assert client.get("/v1/compose").status_code == 405

    def test_a_defect_is_no_traceback(
        self, service: Service, client: TestClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> None:
            raise ZeroDivisionError("secret")

        monkeypatch.setattr(service, "compose", broken)
        answer = client.post("/v1/compose", json=SHORT)
        assert (answer.status_code, answer.json()) == (500, {"error": "the server failed; its log says more"})


class TestLimits:
    def test_candidates_find_room_in_the_decoder(self, make_service: MakeService, client_of: ClientOf) -> None:
        client = client_of(make_service({"rows": 5}))
        body = {"best_of": 2, "blend": "bach, jazz", "guidance": 2, "length": 64}
        answer = client.post("/v1/compose", json=body)
        assert answer.json()["error"].startswith(
            "its candidates take 6 rows of the decoder, 5 of which this server has"
        )

    def test_a_body_is_so_large_at_most(self, make_service: MakeService, client_of: ClientOf) -> None:
        client = client_of(make_service({"upload_bytes": 1024}))
        large = b'{"prompt": "' + b"A" * 2000 + b'"}'
        kind = {"content-type": "application/json"}
        assert client.post("/v1/compose", content=large, headers=kind).status_code == 413
        parts = (large[at : at + 500] for at in range(0, len(large), 500))
        answer = client.post("/v1/compose", content=parts, headers=kind)
        assert answer.status_code == 413, "without a content-length, too"
        assert answer.json() == {"error": "the body of a request has 1,024 bytes at most on this server"}

    def test_a_request_that_takes_too_long_is_answered_with_what_is_there(
        self, make_service: MakeService, client_of: ClientOf
    ) -> None:
        client = client_of(make_service({"request_seconds": 0.25}))
        answer = post(client, "compose", {"length": 16_000, "best_of": 2, "seed": 3})
        assert not answer["complete"]
        assert answer["link"] is None
        assert answer["message"].startswith("cut short after 0.25 s, the server's limit for one request")
        assert all(4 < c["tokens"] < 16_000 and not c["has_ended"] for c in answer["candidates"])

    def test_requests_beyond_the_queue_are_told_when_to_come_again(
        self, make_service: MakeService, client_of: ClientOf
    ) -> None:
        client = client_of(make_service({"rows": 2, "queue": 1, "request_seconds": 0.6}))
        with ThreadPoolExecutor(6) as threads:
            answers = [*threads.map(lambda n: client.post("/v1/compose", json=long(n)), range(6))]
        by_status = sorted(answer.status_code for answer in answers)
        assert by_status == [200, 200, 429, 429, 429, 429]
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert int(refused.headers["retry-after"]) >= 1
        assert "1 requests are waiting already" in refused.json()["error"]


def long(seed: int) -> dict[str, Any]:
    return {"length": 16_000, "best_of": 2, "seed": seed}


def test_health_readiness_and_figures(client: TestClient, service: Service) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    post(client, "compose", SHORT)
    figures = client.get("/metrics").text
    assert 'musenet_requests_total{outcome="done"}' in figures
    assert "musenet_decoder_rows 0.0" in figures


def test_a_server_that_has_no_model_yet_says_so(client_of: ClientOf, tmp_path: Path) -> None:
    service = Service(ServingSettings(), tmp_path)
    client = client_of(service)
    assert client.get("/healthz").status_code == 200
    assert (client.get("/readyz").status_code, client.get("/readyz").json()["status"]) == (503, "loading")
    answer = client.post("/v1/compose", json=SHORT)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json() == {"error": "the model is being loaded"}
    service.note_failure()
    assert (client.get("/readyz").status_code, client.get("/readyz").json()["status"]) == (503, "failed")
    assert "could not be loaded" in client.post("/v1/compose", json=SHORT).json()["error"]
    service.close()


def test_a_version_that_cannot_be_loaded_does_not_end_the_former(client: TestClient, service: Service) -> None:
    service.note_failure()
    assert client.get("/readyz").json()["status"] == "ready"


def test_a_page_is_served_where_it_is_built(service: Service, client_of: ClientOf, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<title>studio</title>")
    answer = client_of(service, page=tmp_path).get("/")
    assert "studio" in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'self';")
    assert "unsafe" not in answer.headers["content-security-policy"].replace("'wasm-unsafe-eval'", "")
    assert client_of(service, page=tmp_path / "nowhere").get("/").status_code == 404
