using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Jobs;
using TokenMill.Training.Loop;

namespace TokenMill.Training.Tests.Loop;

/// <summary>Options of a specification, each by what it changes and what it must leave alone.</summary>
public sealed class OptionTests(RunFixture fixture, ITestOutputHelper output) : IClassFixture<RunFixture>
{
    /// <summary>The same questions and answers in every format that the dataset check reads give the same losses.</summary>
    [Fact]
    public void Formats_OfTheSameConversations_TrainTheSame()
    {
        var rows = Enumerable.Range(1, 12).Select(i => (Question: $"What is {i} plus {i}?", Answer: $"{i} and {i} make {2 * i}.")).ToList();
        string Lines(string name, Func<(string Question, string Answer), object> row) => fixture.File(name, rows.Select(r => JsonSerializer.Serialize(row(r))));
        var files = new (string Path, string Format, JsonObject? Map)[]
        {
            (Lines("m.jsonl", r => new { messages = new object[] { new { role = "user", content = r.Question }, new { role = "assistant", content = r.Answer } } }), "messages", null),
            (Lines("a.jsonl", r => new { instruction = r.Question, input = "", output = r.Answer }), "alpaca", null),
            (Lines("s.jsonl", r => new { conversations = new object[] { new { from = "human", value = r.Question }, new { from = "gpt", value = r.Answer } } }), "sharegpt", null),
            (fixture.File("t.csv", ["frage,antwort", .. rows.Select(r => $"{r.Question},{r.Answer}")]), "csv", new JsonObject { ["user"] = "frage", ["assistant"] = "antwort" }),
            (Lines("auto.jsonl", r => new { instruction = r.Question, output = r.Answer }), "auto", null),
        };
        List<(double, double)>? expected = null;
        foreach (var (path, format, map) in files)
        {
            var losses = Steps(fixture.Spec($"format-{Path.GetFileName(path)}", spec =>
                (spec["data"], spec["max_steps"], spec["export"]) = (new JsonArray(new JsonObject { ["path"] = path, ["format"] = format, ["map"] = map }), 2, new JsonArray()))).Select(step => (step.Loss, step.GradNorm)).ToList();
            Assert.Equal(expected ??= losses, losses);
        }
        var mistake = Assert.Throws<RefusedException>(() => RunFixture.Run(fixture.Spec("xml", spec => spec["data"]![0]!["format"] = "xml"))).Error;
        Assert.Contains("data[0].format: 'xml'", mistake.Message, StringComparison.Ordinal);
        Assert.Contains("sharegpt", mistake.Message, StringComparison.Ordinal);
    }

    /// <summary>Documents longer than max_length are split, since nothing of them is a mere context; every token is learned once.</summary>
    [Theory]
    [InlineData("documents.txt")]
    [InlineData("documents.jsonl")]
    public void Pretraining_OnTexts_LearnsEveryTokenOfLongDocumentsToo(string file)
    {
        var text = string.Join(' ', Enumerable.Range(1, 200).Select(i => $"{i} plus {i}."));
        fixture.File(file, file.EndsWith(".txt", StringComparison.Ordinal) ? [text] : [JsonSerializer.Serialize(new { text })]);
        List<TrainerEvent> Run(string overflow) => RunFixture.Run(fixture.Spec($"{file}-{overflow}", spec =>
        {
            (spec["method"], spec["data"], spec["max_length"], spec["max_steps"], spec["batch_size"]) = ("pretrain", new JsonArray(new JsonObject { ["path"] = fixture.Path(file) }), 64, 1, 1000);
            if (overflow.Length > 0) spec["overflow"] = overflow;
        }));
        var split = Run("");
        var (whole, step) = (split.OfType<WarningEvent>().Single(w => w.Code == "too-long"), split.OfType<StepEvent>().Single());
        Assert.Contains("split", whole.Message, StringComparison.Ordinal);
        Assert.True(step.Tokens > 1000);
        Assert.Equal((step.Tokens + 63) / 64, step.Tokens - step.SupervisedTokens);         // of each piece all but the first
        Assert.Equal(64, Run("truncate").OfType<StepEvent>().Single().Tokens);
        Assert.Equal("no-training-rows", Assert.Throws<RefusedException>(() => Run("drop")).Error.Code);
    }

    [Fact]
    public void Seeds_GiveIdenticalRuns_AndOtherSeedsOthers()
    {
        byte[] Adapter(string name, long seed)
        {
            RunFixture.Run(fixture.Spec(name, spec => (spec["seed"], spec["adapter"]!["dropout"], spec["neftune_alpha"]) = (seed, 0.2, 5)));
            return File.ReadAllBytes(fixture.Path($"{name}/adapter/adapter_model.safetensors"));
        }
        var first = Adapter("seed-1", 1);
        Assert.Equal(first, Adapter("seed-1-again", 1));
        Assert.NotEqual(first, Adapter("seed-2", 2));
    }

    [Theory]
    [InlineData("dropout", 0.3)]
    [InlineData("neftune_alpha", 10.0)]
    [InlineData("label_smoothing", 0.2)]
    public void Regularization_ChangesTrainingAlone(string option, double value)
    {
        List<TrainerEvent> Run(string name, double strength) => RunFixture.Run(fixture.Spec($"{option}-{name}", spec =>
        {
            spec["validation"] = new JsonObject { ["fraction"] = 0.3 };
            if (option == "dropout") spec["adapter"]!["dropout"] = strength;
            else spec[option] = strength;
        }));
        var (without, with, again) = (Run("none", 0), Run("some", value), Run("again", value));
        Assert.Equal(without.OfType<ValidationEvent>().First().Loss, with.OfType<ValidationEvent>().First().Loss);         // before the first step
        Assert.NotEqual(without.OfType<StepEvent>().Last().Loss, with.OfType<StepEvent>().Last().Loss);
        Assert.Equal(with.OfType<StepEvent>().Select(step => step.Loss), again.OfType<StepEvent>().Select(step => step.Loss));
        if (option == "label_smoothing") Assert.True(with.OfType<StepEvent>().First().GradNorm < without.OfType<StepEvent>().First().GradNorm);
    }

    [Fact]
    public void EarlyStopping_EndsTheRun_ExportsTheBest_AndSurvivesAStop()
    {
        string Spec(string name) => fixture.Spec(name, spec =>
        {
            (spec["max_steps"], spec["evaluate_every"], spec["validation"]) = (200, 2, new JsonObject { ["fraction"] = 0.3 });
            (spec["early_stopping"], spec["schedule"]) = (new JsonObject { ["patience"] = 3 }, new JsonObject { ["name"] = "constant" });
            spec["optimizer"]!["learning_rate"] = 0.1;                   // soon too far
        });
        var events = RunFixture.Run(Spec("early"));
        var validations = events.OfType<ValidationEvent>().ToList();
        var best = validations.MinBy(validation => validation.Loss)!;
        Assert.Equal(best.Step + 6, events[^1].Step);
        Assert.Equal(best.Step, Assert.IsType<FinishedEvent>(events[^1]).BestStep);
        Assert.Contains(events.OfType<WarningEvent>(), warning => warning.Code == "stopped-early");
        output.WriteLine($"stopped after step {events[^1].Step}, best {best.Loss:F3} after step {best.Step}, last {validations[^1].Loss:F3}");

        // What is exported measures what the best one measured.
        var exported = RunFixture.Run(fixture.Spec("early-exported", spec =>
        {
            (spec["max_steps"], spec["validation"]) = (1, new JsonObject { ["fraction"] = 0.3 });
            spec["adapter"]!["init"] = fixture.Path("early/adapter");
        })).OfType<ValidationEvent>().First();
        Assert.Equal(best.Loss, exported.Loss, 1e-6);

        var first = RunFixture.Run(Spec("early-stopped"), onEvent: (e, stop) => { if (e is StepEvent step && step.Step == best.Step + 3) stop.Ask(StopReason.Pause); });
        var second = RunFixture.Run(Spec("early-stopped"), resume: true);
        Assert.Equal(validations.Select(v => (v.Step, v.Loss)), first.Concat(second).OfType<ValidationEvent>().Select(v => (v.Step, v.Loss)));
        Assert.Equal(File.ReadAllBytes(fixture.Path("early/adapter/adapter_model.safetensors")), File.ReadAllBytes(fixture.Path("early-stopped/adapter/adapter_model.safetensors")));
    }

    [Fact]
    public void Options_OutOfRange_NameFieldAndValue()
    {
        var message = Assert.Throws<RefusedException>(() => RunFixture.Run(fixture.Spec("ranges", spec =>
        {
            (spec["neftune_alpha"], spec["label_smoothing"], spec["beta"], spec["keep_best"]) = (-1, 1, 0, true);
            spec["early_stopping"] = new JsonObject { ["patience"] = 0, ["min_delta"] = -1 };
        }))).Error.Message;
        foreach (var part in (string[])["neftune_alpha: -1", "label_smoothing: 1", "beta: 0", "keep_best: it needs validation", "early_stopping.patience: 0", "early_stopping.min_delta: -1"])
            Assert.Contains(part, message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"train_on":"none"}""", "train_on: \"none\" is not one of all, last")]
    [InlineData("""{"overflow":3}""", "overflow: 3 is not one of truncate, drop, split")]
    [InlineData("""{"adapter":{"rank_pattern":[]}}""", "adapter.rank_pattern: [] is not an object")]
    [InlineData("""{"early_stopping":true}""", "early_stopping: true is not an object")]
    [InlineData("""{"data":[{"path":"/dev/null","map":{"question":"q","user":null}}]}""", "data[0].map: 'question' is not user, assistant or system; data[0].map.user: null")]
    public void Options_OfAnotherKind_NameWhatIsAllowed(string fields, string expected)
    {
        var message = Assert.Throws<RefusedException>(() => RunFixture.Run(fixture.Spec("kinds", spec =>
        {
            foreach (var (name, value) in JsonNode.Parse(fields)!.AsObject()) spec[name] = value?.DeepClone();
        }))).Error.Message;
        Assert.Contains(expected, message, StringComparison.Ordinal);
    }

    private static List<StepEvent> Steps(string spec) => [.. RunFixture.Run(spec).OfType<StepEvent>()];
}
