"""Tests of cross_check.py and lstm_update.py:   python3 -m unittest discover -s python

On a machine without a GPU the Triton kernels run in Triton's interpreter, where there is triton.
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import torch
from torch.nn import functional as F

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

import cross_check
import evaluate
import hypernetworks
import lstm_update

ROWS = {"table3-lstm": 4_254_050, "table3-layer-norm-lstm": 4_264_050, "table3-hyperlstm": 4_911_874,
        "table3-layer-norm-hyperlstm": 4_923_154}
CPU = torch.device("cpu")
TEXT = b"the cell of a cell is a small cell; its state goes on and on, and its text ends here.\n" * 4
VOCABULARY = bytes(sorted(set(TEXT)))
PLAIN = {"fused": False, "graph": False}


def small(name, *settings):
    hyper = ["model.hyperUnits=5", "model.embeddingSize=2"] if "hyper" in name else []
    return cross_check.configuration(name, [
        "model.units=12", "training.batch=4", "training.sequenceLength=25", "training.steps=9", "model.keepInput=1",
        "model.keepOutput=1", "model.keepRecurrent=1", *hyper, *settings])


def module(config, named):
    """The model of hypernetworks.py with these weights."""
    model = hypernetworks.CharacterModel(cross_check.model_configuration(config), VOCABULARY)
    model.load_state_dict(named)
    return model


def perturbed(config, seed):
    """Initial values moved a little, so that none is zero or one."""
    random = torch.Generator().manual_seed(seed)
    return {name: tensor + 0.1 * torch.randn(tensor.shape, generator=random)
            for name, tensor in cross_check.initial_values(config, len(VOCABULARY), seed).items()}


class CrossCheckTests(unittest.TestCase):
    def setUp(self):
        torch.set_default_dtype(torch.float64)
        self.addCleanup(torch.set_default_dtype, torch.float32)
        torch.set_grad_enabled(False)
        self.addCleanup(torch.set_grad_enabled, True)

    def training(self, config, named, peaks):
        configs = [cross_check.with_peak(config, peak) for peak in peaks]
        return cross_check.Training(configs, TEXT, VOCABULARY, named, CPU, PLAIN)

    def test_initial_values_have_the_names_and_the_counts_of_the_rows(self):
        for name, count in ROWS.items():
            config = cross_check.configuration(name, ["model.units=1000"])
            shapes = hypernetworks.CharacterModel(cross_check.model_configuration(config), bytes(range(50))).state_dict()
            self.assertEqual(sum(tensor.numel() for tensor in shapes.values()), count)
            config = small(name)
            named = cross_check.initial_values(config, len(VOCABULARY), 0)
            module(config, named)  # strict

    def test_packing_and_unpacking_give_the_same_tensors(self):
        for name in ROWS:
            config = small(name)
            c, named = cross_check.model_configuration(config), perturbed(config, 1)
            packed = cross_check.pack(named, c)
            shapes = cross_check.packed_shapes(c, len(VOCABULARY))
            self.assertEqual({name: tuple(tensor.shape) for name, tensor in packed.items()}, shapes)
            again = cross_check.unpack(packed, c)
            self.assertEqual(set(again), set(named))
            for name, tensor in named.items():
                self.assertTrue(torch.equal(again[name], tensor), name)

    def test_orthogonal_blocks_are_orthogonal(self):
        config = small("table3-layer-norm-hyperlstm")
        named = cross_check.initial_values(config, len(VOCABULARY), 3)
        for name in "W_h", "W_x", "hyper.W_h", "hyper.W_x":
            for block in named[f"layer0.{name}"].chunk(4, 1):
                product = block @ block.T if block.shape[0] <= block.shape[1] else block.T @ block
                torch.testing.assert_close(product, torch.eye(len(product), dtype=product.dtype), atol=1e-6, rtol=0)

    def test_rates_are_those_of_the_schedule(self):
        schedule = {"peak": 0.002, "final": 0, "warmUpSteps": 200, "holdUntilStep": 3750, "totalSteps": 5000}
        for step, expected in (1, 0.00001), (200, 0.002), (3750, 0.002), (4375, 0.001), (5000, 0):
            self.assertAlmostEqual(cross_check.rate(schedule, step), expected, places=12)
        self.assertEqual(cross_check.rate(0.001, 5), 0.001)
        stages = [{"untilStep": 10, "rate": 0.1}, {"untilStep": 20, "rate": 0.02}]
        self.assertEqual([cross_check.rate(stages, step) for step in (10, 11, 21)], [0.1, 0.02, 0.02])
        cosine = {"peak": 0.002, "final": 0.001, "warmUpSteps": 10, "totalSteps": 110}
        for step, expected in (5, 0.001), (10, 0.002), (60, 0.0015), (110, 0.001), (200, 0.001):
            self.assertAlmostEqual(cross_check.rate(cosine, step), expected, places=12)
        config = {"training": {"learningRate": stages}}
        self.assertEqual(cross_check.peak_of(config), 0.1)
        half = cross_check.with_peak(config, 0.05)["training"]["learningRate"]
        self.assertEqual([stage["rate"] for stage in half], [0.05, 0.01])

    def test_settings_are_those_of_train(self):
        name = "table3-layer-norm-hyperlstm-quick-peak-0.002"
        self.assertEqual(
            cross_check.configuration(name, ["training.learningRate=1e-3"])["training"]["learningRate"], 1e-3)
        for setting in "training.step=2", "model.keepOuput=0.5", "author.memory=1", "training.steps.x=1":
            with self.assertRaisesRegex(SystemExit, f"{setting}: unknown key"):
                cross_check.configuration(name, [setting])
        with self.assertRaisesRegex(SystemExit, "expected key.path=value, found 'foo'"):
            cross_check.configuration(name, ["foo"])
        # A section given whole takes the place of another; one key of it, or null for one, does not.
        hold = "training.learningRate={peak: 0.1, final: 0, warmUpSteps: 5, holdUntilStep: 40, totalSteps: 50}"
        for setting, expected in [
            ("training.learningRate={peak: 0.2, final: 0, warmUpSteps: 5, totalSteps: 50}", [0.15, 0.05]),
            ("training.learningRate.peak=0.2", [0.2, 0.2]),
            ("training.learningRate.holdUntilStep=null", [0.075, 0.025]),
        ]:
            schedule = cross_check.configuration(name, [hold, setting])["training"]["learningRate"]
            for step, rate in zip((20, 35), expected):
                self.assertAlmostEqual(cross_check.rate(schedule, step), rate, places=12, msg=setting)
        with self.assertRaisesRegex(SystemExit, "adam=.*: expected the keys beta2, epsilon too"):
            cross_check.configuration(name, ["training.adam={beta1: 0.5}"])

    def test_word_lines_lose_the_blank_at_either_end_and_keep_their_line_feed(self):
        for words, characters in [
            (b" a <unk> b \n c N \n", b"a <unk> b\nc N\n"), (b"a\n", b"a\n"), (b" \n\n  \n", b"\n\n\n"),
            (b" last line ", b"last line"), (b"a  b", b"a  b"), (b"  a  \n", b" a \n"), (b"", b""), (b" ", b""),
        ]:
            self.assertEqual(evaluate.characters_of_word_lines(words), characters, words)

    def test_the_samples_are_found_whatever_the_data_folder_is(self):
        own = evaluate.CHECKOUT / "data"
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            self.assertEqual(evaluate.text("sample", folder), evaluate.text("sample", own))
            self.assertEqual(evaluate.sample(folder), own / "sample")
            (folder / "sample").mkdir()
            self.assertEqual(evaluate.sample(folder), folder / "sample")
        with self.assertRaises(FileNotFoundError):
            evaluate.text("sample", Path("/nonexistent"))

    def test_bad_input_is_answered_in_words(self):
        program = str(Path(cross_check.__file__))
        for arguments, words in [
            (["nosuch"], "nosuch.yaml"), (["table3-lstm", "--data", "/nonexistent"], "/nonexistent/ptb/ptb.train.txt.gz"),
            (["table3-lstm", "--set", "training.step=2"], "unknown key"),
            (["table3-lstm", "--states-at", "5"], "--states FOLDER"),
            (["table3-lstm", "--set", "training.patience=3"], "training.patience: expected null, found 3"),
        ]:
            answer = subprocess.run([sys.executable, program, *arguments], capture_output=True, text=True)
            self.assertNotEqual(answer.returncode, 0, arguments)
            self.assertIn(words, answer.stderr)
            self.assertNotIn("Traceback", answer.stderr)

    def test_loss_and_gradients_are_those_of_the_modules(self):
        """Of two models at once; float64, so that only the order of sums differs."""
        for name in ROWS:
            config = small(name)
            named = [perturbed(config, seed) for seed in (0, 1)]
            trained = self.training(config, named, [0.01, 0.01])
            inputs, targets = trained.streams.read(torch.tensor([25]))
            losses = trained.sequence.learn(inputs, targets, torch.tensor([100.0]))
            for m in range(2):
                with torch.enable_grad():
                    model = module(config, named[m])
                    logits, _ = model(inputs, model.zero_state(4))
                    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
                    loss.backward()
                self.assertAlmostEqual(losses[m].item(), loss.item(), places=12)
                gradients = cross_check.unpack({key: g[m] for key, g in trained.gradients.items()}, trained.c)
                for key, parameter in model.named_parameters():
                    torch.testing.assert_close(gradients[key], parameter.grad, msg=f"{name} {key}")

    def test_the_hyper_cell_has_the_memory_that_it_is_told(self):
        """Carried; zero at the start of a sequence; zero at every step: losses and gradients of the modules, in float64."""
        kinds = ["carried", "sequence", "none"]
        for name in "table3-hyperlstm", "table3-layer-norm-hyperlstm":
            config = small(name)
            named = [perturbed(config, seed) for seed in range(3)]
            trained = cross_check.Training(
                [cross_check.variant(config, [f"author.hyperState={kind}"]) for kind in kinds], TEXT, VOCABULARY, named,
                CPU, PLAIN)
            losses = []
            for start in 0, 25:
                inputs, targets = trained.streams.read(torch.tensor([start]))
                trained.sequence.carry(torch.tensor([float(start > 0)]))
                losses.append(trained.sequence.learn(inputs, targets, torch.tensor([100.0])))
            for m, kind in enumerate(kinds):
                with torch.enable_grad():
                    model = module(config, named[m])
                    cell, (h, c, hyper) = model.layers[0], model.zero_state(4)[0]
                    none = cell.hyper.zero_state(4)
                    for sequence, start in enumerate((0, 25)):
                        inputs, targets = trained.streams.read(torch.tensor([start]))
                        if kind != "carried":
                            hyper = none
                        nats = 0
                        for x, target in zip(F.one_hot(inputs, len(VOCABULARY)).double(), targets):
                            out, (h, c, hyper) = cell(x, (h, c, none if kind == "none" else hyper))
                            nats = nats + F.cross_entropy(model.output(out), target, reduction="sum")
                        self.assertAlmostEqual(losses[sequence][m].item(), nats.item() / 100, places=12, msg=kind)
                        h, c, hyper = h.detach(), c.detach(), tuple(part.detach() for part in hyper)
                    (nats / 100).backward()
                gradients = cross_check.unpack({key: g[m] for key, g in trained.gradients.items()}, trained.c)
                for key, parameter in model.named_parameters():
                    expected = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                    torch.testing.assert_close(gradients[key], expected, msg=f"{name} {kind} {key}")
            self.assertEqual(trained.gradients["hyper.W_h"][2].abs().max(), 0)
            # A text is read in the same way.
            reading = cross_check.Evaluation(
                trained.c, trained.weights, TEXT[:101], VOCABULARY, 4, 25, PLAIN, trained.hyper_state)
            for m, named in enumerate(named):
                for key, tensor in cross_check.pack(named, trained.c).items():
                    trained.weights[key][m].copy_(tensor)
            bits = reading.bits()
            self.assertGreater(min(abs(bits[0] - bits[2]), abs(bits[1] - bits[2])), 1e-4)
            # One sequence: nothing to forget between two.
            alone = cross_check.Evaluation(trained.c, trained.weights, TEXT[:101], VOCABULARY, 4, 25, PLAIN)
            self.assertAlmostEqual(bits[1], alone.bits()[1], places=12)

    def test_orthogonal_matrices_of_all_gates_are_orthogonal_as_one(self):
        config = cross_check.variant(small("table3-layer-norm-hyperlstm"), ["author.orthogonal=packed"])
        named = cross_check.initial_values(config, 30, 3)
        for name in "W_h", "W_x", "hyper.W_h", "hyper.W_x":
            W = named[f"layer0.{name}"]
            product = W @ W.T if W.shape[0] <= W.shape[1] else W.T @ W
            torch.testing.assert_close(product, torch.eye(len(product), dtype=product.dtype), atol=1e-6, rtol=0)

    def test_steps_are_those_of_torch_optim_over_the_end_of_an_epoch(self):
        """85 predictions a stream: sequences of 25, 25, 25 and 10, then the state is zero again."""
        for name in "table3-lstm", "table3-layer-norm-hyperlstm":
            config = small(
                name, "training.learningRate={peak: 0.1, final: 0, warmUpSteps: 3, holdUntilStep: 6, totalSteps: 9}")
            named = perturbed(config, 0)
            trained = self.training(config, [named], [0.02])
            with torch.enable_grad():
                model = module(config, named)
                optimizer = torch.optim.Adam(model.parameters(), betas=(0.9, 0.999), eps=1e-8)
                symbols, expected, state = model.encode(TEXT), [], None
                streams = [symbols[b * 85:b * 85 + 86] for b in range(4)]
                text = torch.stack(streams, 1)
                for step in range(9):
                    start = step % 4 * 25
                    stop = min(start + 25, 85)
                    state = model.zero_state(4) if start == 0 else state
                    logits, state = model(text[start:stop], state)
                    state = [tuple(
                        part.detach() if torch.is_tensor(part) else tuple(p.detach() for p in part) for part in layer)
                        for layer in state]
                    loss = F.cross_entropy(logits.flatten(0, 1), text[start + 1:stop + 1].flatten())
                    optimizer.zero_grad()
                    loss.backward()
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    optimizer.param_groups[0]["lr"] = cross_check.rate(
                        cross_check.with_peak(config, 0.02)["training"]["learningRate"], step + 1)
                    optimizer.step()
                    expected.append(loss.item())
            for _ in range(9):
                trained.replay()
            # clip_grad_norm_ adds 1e-6 to the norm.
            torch.testing.assert_close(trained.history[:, 0, 0], torch.tensor(expected), rtol=1e-5, atol=0)

    def test_models_side_by_side_are_those_alone(self):
        config = small("table3-layer-norm-hyperlstm")
        named = [perturbed(config, seed) for seed in (0, 1)]
        together = self.training(config, named, [0.01, 0.001])
        alone = [self.training(config, [values], [peak]) for values, peak in zip(named, (0.01, 0.001))]
        for trained in together, *alone:
            for _ in range(9):
                trained.replay()
        for m in range(2):
            torch.testing.assert_close(together.history[:, m], alone[m].history[:, 0])
            torch.testing.assert_close(together.weights.flat[m], alone[m].weights.flat[0])

    def test_variants_differ_in_what_they_say(self):
        config = small("table3-layer-norm-hyperlstm")
        changes = [
            "model.keepRecurrent=0.5", "model.keepHyperRecurrent=0.5",
            "training.learningRate={peak: 0.02, final: 0, warmUpSteps: 0, holdUntilStep: 3, totalSteps: 9}"]
        other = cross_check.variant(config, changes)
        self.assertEqual((other["model"]["keepRecurrent"], cross_check.peak_of(other)), (0.5, 0.02))
        self.assertEqual(config["model"]["keepRecurrent"], 1)
        with self.assertRaisesRegex(SystemExit, "expected changes of model.keepInput, .*, found model.units=13"):
            cross_check.variant(config, ["model.units=13"])

        def initial(change):
            return cross_check.initial_values(cross_check.variant(config, [f"deviations.{change}"]), len(VOCABULARY), 0)

        values = [initial(f"inputInitialValues={kind}")["layer0.W_x"] for kind in ("orthogonal", "uniform-unit-scaling")]
        self.assertFalse(torch.equal(*values))
        with self.assertRaisesRegex(SystemExit, "expected one of orthogonal, uniform-unit-scaling, found x"):
            initial("inputInitialValues=x")
        scaling = initial("scalingInitialValues=distinct")["layer0.W_hz"]
        torch.testing.assert_close(scaling.sum(1), torch.full((4, 12), 0.1, dtype=scaling.dtype))
        self.assertGreater(scaling.std(1).min(), 0)

        named = perturbed(config, 0)
        restarted = cross_check.variant(config, ["training.carryState=false"])
        trained = cross_check.Training([config, other, restarted], TEXT, VOCABULARY, [named] * 3, CPU, PLAIN)
        self.assertEqual([None if keep is None else keep.tolist() for keep in trained.keeps],
                         [None, [1, 0.5, 1], [1, 0.5, 1], None])
        alone = [self.training(one, [named], [cross_check.peak_of(config)]) for one in (config, restarted)]
        for run in trained, *alone:
            for _ in range(9):
                run.replay()
        # Those without dropout are as if they were alone; the other is not.
        for m, run in (0, alone[0]), (2, alone[1]):
            torch.testing.assert_close(trained.history[:, m], run.history[:, 0])
        for m in 1, 2:
            self.assertGreater((trained.history[1:, m, 0] - alone[0].history[1:, 0, 0]).abs().max(), 1e-3)

    def test_the_gradient_goes_through_dropout_in_the_hyper_cell(self):
        """Against differences, in float64."""
        config = small("table3-layer-norm-hyperlstm")
        trained = self.training(config, [perturbed(config, 0)], [0.01])
        sequence, B, T = trained.sequence, 4, 25
        inputs, targets = trained.streams.read(torch.tensor([25]))
        x = sequence.one_hot(inputs)
        mask = torch.rand(1, T, B, 5).lt(0.7) / 0.7
        direction = torch.randn(1, T * B, 12)

        def total():
            sequence.forward(x, None, mask)
            return (sequence.outputs() * direction).sum()

        total()
        sequence.backward(x, None, mask, direction.clone())
        gradient = trained.gradients["hyper.W_h"].clone()
        move, weight = torch.randn_like(gradient), trained.weights["hyper.W_h"]
        before = weight.clone()
        sides = []
        for sign in 1, -1:
            weight.copy_(before + sign * 1e-6 * move)
            sides.append(total())
        torch.testing.assert_close((sides[0] - sides[1]) / 2e-6, (gradient * move).sum(), rtol=1e-6, atol=0)

    def test_gradients_are_clipped_to_the_norm_that_the_configuration_states_or_not_at_all(self):
        for norm in 1e-3, None:
            config = small("table3-lstm")
            config["training"]["clipNorm"] = norm
            trained = self.training(config, [perturbed(config, 0)], [0.01])
            trained.replay()
            clipped = torch.linalg.vector_norm(trained.gradients.flat).item()
            whole = trained.history[0, 0, 1].item()
            self.assertGreater(whole, 0.01)
            self.assertAlmostEqual(clipped, min(whole, norm or whole), delta=1e-6)

    def test_a_run_gone_on_with_makes_the_steps_of_one_that_was_not_interrupted(self):
        config = small("table3-layer-norm-hyperlstm")
        named = perturbed(config, 0)

        def begun():
            trained = self.training(config, [named], [0.01])
            best = cross_check.Best(trained.weights)
            return trained, best, {"kind": "k", "parameters": 1, "batch": 4, "sequenceLength": 25, "trainingTextSHA256": "s",
                                   "set": [], "models": [{"seed": 0, "curve": [], "steps": []}]}

        whole, first, second = begun(), begun(), begun()
        for trained, steps in (whole[0], 9), (first[0], 5):
            for _ in range(steps):
                trained.replay()
        first[1].look(5, [1.5])
        first[2]["models"][0]["curve"].append([5, 2.0, 1.5])
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "states/step-5.pt"
            cross_check.save_state(path, first[0], first[1], first[2] | {"seconds": 7.0})
            second[2]["set"] = ["training.learningRate=0.01", "training.steps=9", "evaluation.validateAt=3"]
            cross_check.load_state(path, *second)
            for change, words in [
                ({"batch": 8}, "batch 8, found 4"),
                ({"set": ["deviations.forgetBias=0"]}, "--set 'deviations.forgetBias=0', found ''"),
                ({"models": [{"seed": 1}]}, "model 1 of seed 1, found 0"),
                ({"models": [{"seed": 0, "set": ["model.keepOutput=0.8"]}]},
                 "model 1 of variant 'model.keepOutput=0.8', found ''"),
            ]:
                with self.assertRaisesRegex(SystemExit, f"step-5.pt: expected a run with {words}"):
                    cross_check.load_state(path, second[0], second[1], second[2] | change)
        for _ in range(4):
            second[0].replay()
        self.assertTrue(torch.equal(second[0].weights.flat, whole[0].weights.flat))
        self.assertTrue(torch.equal(second[0].history[5:], whole[0].history[5:]))
        self.assertTrue(torch.equal(second[1].flat, first[1].flat))
        self.assertEqual((second[1].bits, second[1].steps, second[2]["resumedAt"]), ([1.5], [5], 5))
        self.assertEqual((second[2]["models"][0]["curve"], second[2]["seconds"]), ([[5, 2.0, 1.5]], 7.0))

    def test_the_best_validation_of_each_model_keeps_its_weights(self):
        weights = cross_check.Packed({"W": (2,)}, 4, CPU)
        best = cross_check.Best(weights)
        nan = float("nan")
        for step, bits in (5, [2.0, 2.0, 2.0, nan]), (10, [1.0, 3.0, nan, 1.0]), (15, [1.5, 1.9, 1.0, 2.0]):
            weights["W"].fill_(step)
            best.look(step, bits)
        self.assertEqual(best.steps, [10, 15, 15, 10])
        best.restore()
        self.assertEqual(weights["W"][:, 0].tolist(), [10, 15, 15, 10])

    def test_committed_weights_read_a_text_as_the_modules_do(self):
        torch.set_default_dtype(torch.float32)
        runs = Path(cross_check.CONFIGURATIONS).parent / "runs"
        for name in "table3-lstm-quick", "table3-layer-norm-hyperlstm-quick":
            model = hypernetworks.load(runs / name / "0/model.safetensors")
            config, vocabulary = cross_check.configuration(name), model.vocabulary
            c = cross_check.model_configuration(config)
            text = TEXT[:150]
            weights = cross_check.Packed(cross_check.packed_shapes(c, len(vocabulary)), 1, CPU)
            for key, tensor in cross_check.pack(model.state_dict(), c).items():
                weights[key][0].copy_(tensor)
            text = bytes(byte for byte in text if byte in vocabulary)
            reading = cross_check.Evaluation(c, weights, text, vocabulary, 2, 20, PLAIN)
            nats = evaluate.evaluate_text(model, text, 2)
            self.assertAlmostEqual(reading.bits()[0] * 0.6931471805599453, nats, places=5)

    def test_committed_runs_are_as_the_program_writes_them(self):
        paths = sorted(cross_check.CONFIGURATIONS.parent.glob("cross-check/*.json"))
        self.assertTrue(paths)
        for path in paths:
            text = path.read_text()
            record = json.loads(text)
            self.assertEqual(cross_check.json_text(record), text, path)
            for model in record["models"]:
                self.assertLessEqual(max(step for step, *_ in model["steps"]), cross_check.FIRST_STEPS, path)

    def test_what_is_not_finite_is_null(self):
        text = cross_check.json_text({"curve": [[1, float("nan"), 0.12345678]], "peak": float("inf"), "set": []})
        self.assertEqual(text, '{\n "curve": [\n  [1, null, 0.123457]\n ],\n "peak": null,\n "set": []\n}\n')

    def test_masks_keep_what_they_say_and_their_gradient_goes_down(self):
        """With dropout a step in the gradient's direction still lowers the loss on average."""
        config = small("table3-layer-norm-hyperlstm", "model.keepInput=0.9", "model.keepOutput=0.9",
                       "model.keepRecurrent=0.9", "training.steps=60", "training.learningRate=0.01")
        torch.manual_seed(0)
        trained = self.training(config, [cross_check.initial_values(config, len(VOCABULARY), 0)], [0.01])
        for _ in range(60):
            trained.replay()
        self.assertLess(trained.history[-4:, 0, 0].mean(), 0.8 * trained.history[:4, 0, 0].mean())


@unittest.skipIf(lstm_update.triton is None, "needs triton")
class FusedUpdateTests(unittest.TestCase):
    def test_the_kernels_compute_the_equations_and_their_gradients(self):
        """Float32; sums over a row in another order."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        M, T, B, H = 2, 3, 3, 20
        torch.manual_seed(0)

        def random(*shape):
            return torch.randn(*shape, device=device)

        for normalized, scaled, masked in [(n, s, k) for n in (0, 1) for s in (0, 1) for k in (0, 1)]:
            flat = random(M, 14 * H)
            norm = [flat[:, :4 * H], flat[:, 4 * H:8 * H], flat[:, 8 * H:9 * H], flat[:, 9 * H:10 * H]]
            p, x, c = random(M, T, B, 4 * H + 8)[:, 1, :, :4 * H], random(M, T, B, 4 * H), random(M, T + 1, B, H)[:, 1]
            x, dh, dc = x[:, 2], random(M, T, B, H)[:, 0], random(M, B, H)
            d = random(M, 12, T, B, H)[:, :, 1] if scaled else None
            mask = torch.rand(M, T, B, H, device=device).lt(0.9)[:, 1] / 0.9 if masked else None
            results = []
            for kind in lstm_update.Update, lstm_update.FusedUpdate:
                update = kind(H, 1.0, 0.001, norm if normalized else [], flat[:, 10 * H:] if scaled else None, B)
                h_out, c_out, dc_out = (torch.full((M, B, H), torch.nan, device=device) for _ in range(3))
                update.forward(p, x, d, c, mask, h_out, c_out)
                dp, dx = (torch.full((M, T, B, 4 * H), torch.nan, device=device)[:, 1] for _ in range(2))
                dd = torch.full((M, 12, T, B, H), torch.nan, device=device)[:, :, 1]
                for _ in range(2):  # the norm's gradients add up
                    update.backward(dh, dc, p, x, d, c, mask, dc_out, dp, dx, dd)
                results.append(
                    [h_out, c_out, dc_out, dp] + ([dx, dd] if scaled else []) + update.norm_gradients())
            for plain, fused in zip(*results):
                self.assertTrue(plain.isfinite().all())
                torch.testing.assert_close(fused, plain, rtol=1e-4, atol=1e-5)

    def test_steps_with_the_kernels_are_those_without(self):
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.set_grad_enabled(False)
        self.addCleanup(torch.set_grad_enabled, True)
        for name, peaks in ("table3-lstm", [0.01, 0.001]), ("table3-layer-norm-hyperlstm", [0.01, 0.001]), (
                "table3-layer-norm-hyperlstm", [0.01]):
            config = small(name, "training.batch=2", "training.sequenceLength=3", "training.steps=4",
                           "training.learningRate=0.01")
            results = []
            for fused in False, True:
                trained = cross_check.Training(
                    [cross_check.with_peak(config, peak) for peak in peaks], TEXT, VOCABULARY,
                    [perturbed(config, seed) for seed, _ in enumerate(peaks)], device, {"fused": fused, "graph": fused})
                reading = cross_check.Evaluation(
                    trained.c, trained.weights, TEXT[:12], VOCABULARY, 2, 3, {"fused": fused, "graph": fused})
                for _ in range(4):
                    trained.replay()
                results.append([trained.history.cpu(), torch.tensor(reading.bits())])
            for plain, fused in zip(*results):
                torch.testing.assert_close(fused, plain, rtol=1e-3, atol=1e-4)


if __name__ == "__main__":
    unittest.main()
