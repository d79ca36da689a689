using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Jobs;
using TokenMill.Training.Loop;

namespace TokenMill.Training.Tests.Loop;

/// <summary>Every kind of adapter through whole runs: stopped and resumed, exported, continued, merged.</summary>
public sealed class AdapterRunTests(RunFixture fixture, ITestOutputHelper output) : IClassFixture<RunFixture>
{
    [Theory]
    [InlineData("lora", false)]
    [InlineData("rslora", false)]
    [InlineData("dora", false)]
    [InlineData("qlora", false)]
    [InlineData("lora", true)]
    public void Kind_ResumesExactly_ContinuesFromItsExport_AndMerges(string type, bool wholeModules)
    {
        string Spec(string name, Action<JsonObject>? change = null) => fixture.Spec($"{type}-{wholeModules}-{name}", spec =>
        {
            spec["adapter"] = new JsonObject { ["type"] = type, ["rank"] = 4, ["alpha"] = 8, ["dropout"] = 0.05, ["modules_to_save"] = wholeModules ? new JsonArray("embed_tokens", "norm") : new JsonArray() };
            spec["validation"] = new JsonObject { ["fraction"] = 0.3 };
            spec.Remove("export");
            change?.Invoke(spec);
        });
        var whole = RunFixture.Run(Spec("whole"));
        var first = RunFixture.Run(Spec("stopped"), onEvent: (e, stop) => { if (e is StepEvent { Step: 3 }) stop.Ask(StopReason.Pause); });
        var second = RunFixture.Run(Spec("stopped"), resume: true);
        Assert.Equal(whole.OfType<StepEvent>().Select(step => (step.Loss, step.GradNorm)), first.Concat(second).OfType<StepEvent>().Select(step => (step.Loss, step.GradNorm)));
        string Adapter(string name) => fixture.Path($"{type}-{wholeModules}-{name}/adapter");
        Assert.Equal(File.ReadAllBytes($"{Adapter("whole")}/adapter_model.safetensors"), File.ReadAllBytes($"{Adapter("stopped")}/adapter_model.safetensors"));

        var fitsGguf = type != "dora" && !wholeModules;
        Assert.Equal(["peft", fitsGguf ? "gguf-lora" : "merged"], whole.OfType<ExportEvent>().Select(export => export.Kind));

        // Continued from its export, and with the adapter folded in, the model measures what it measured in the end.
        var expected = whole.OfType<ValidationEvent>().Last().Loss;
        var continued = RunFixture.Run(Spec("continued", spec => (spec["adapter"]!["init"], spec["export"], spec["max_steps"]) = (Adapter("whole"), new JsonArray("peft", "merged"), 2)));
        Assert.Equal(expected, continued.OfType<ValidationEvent>().First().Loss, 1e-6);
        var merged = RunFixture.Run(Spec("on-merged", spec => (spec["model"], spec["max_steps"]) = (continued.OfType<ExportEvent>().Single(export => export.Kind == "merged").Path, 1)));
        Assert.Equal(continued.OfType<ValidationEvent>().Last().Loss, merged.OfType<ValidationEvent>().First().Loss, 2e-3);          // F16
        output.WriteLine($"{type}: {whole.OfType<StartedEvent>().Single().TrainableParameters:N0} parameters, merged off by {Math.Abs(continued.OfType<ValidationEvent>().Last().Loss - merged.OfType<ValidationEvent>().First().Loss):E1}");
    }

    [Theory]
    [InlineData("""{"type":"dora"}""", "magnitudes", "gguf-lora")]
    [InlineData("""{"modules_to_save":["embed_tokens"]}""", "embed_tokens", "gguf-lora")]
    [InlineData("""{"modules_to_save":["q_proj"]}""", "'q_proj'")]
    [InlineData("""{"modules_to_save":["lm_head"]}""", "tied")]
    [InlineData("""{"rank_pattern":{"w_pack":3}}""", "'w_pack'")]
    [InlineData("""{"rank_pattern":{"q_proj":0}}""", "q_proj: 0")]
    [InlineData("""{"alpha_pattern":{"(":1}}""", "'('")]
    [InlineData("""{"targets":[]}""", "adapter.targets: []")]
    [InlineData("""{"targets":7}""", "adapter.targets: 7")]
    [InlineData("""{"type":"none","modules_to_save":["norm"]}""", "modules_to_save: everything")]
    public void Mistakes_AreNamedBeforeAStepIsMade(string adapter, string named, string export = "peft")
    {
        var error = Assert.Throws<RefusedException>(() => RunFixture.Run(fixture.Spec(Guid.NewGuid().ToString("N"), spec => (spec["adapter"], spec["export"]) = (JsonNode.Parse(adapter), new JsonArray(export))))).Error;
        Assert.Equal("bad-spec", error.Code);
        Assert.Contains(named, error.Message + error.Remedy, StringComparison.Ordinal);
    }
}
