using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Jobs;
using TokenMill.Training.Tests.Loop;

namespace TokenMill.Training.Tests.Faults;

/// <summary>A row whose loss is no number ends the run before it spoils the weights.</summary>
public sealed class PoisonTests(RunFixture fixture, ITestOutputHelper output) : IClassFixture<RunFixture>
{
    private const int PoisonedToken = 300, PoisonedRow = 11;

    [Fact]
    public void PoisonedRow_IsNamed_AndTheCheckpointBeforeIsKept()
    {
        var rows = Enumerable.Range(1, 24).Select(row => new JsonObject { ["ids"] = Ids(row), ["labels"] = Ids(row) }.ToJsonString());
        var specText = fixture.Spec("poisoned", spec =>
        {
            spec["model"] = WithPoisonedEmbedding(fixture.Model, fixture.Path("poisoned.gguf"));
            spec["data"] = new JsonArray(new JsonObject { ["path"] = fixture.File("poisoned.jsonl", rows), ["format"] = "tokens" });
            (spec["shuffle"], spec["batch_size"], spec["checkpoint"]!["every_steps"]) = (false, 4, 1);
        });
        for (var attempt = 0; attempt < 2; attempt++)           // and again the same after a resume
        {
            var error = Assert.Throws<RefusedException>(() => RunFixture.Run(specText, resume: attempt > 0)).Error;
            output.WriteLine($"{error}");
            Assert.Equal("not-finite", error.Code);
            Assert.Contains("step 3 (batch 3 of epoch 1)", error.Message, StringComparison.Ordinal);
            Assert.Contains($"poisoned.jsonl row {PoisonedRow} alone", error.Message, StringComparison.Ordinal);
            Assert.Equal(["step-00000001", "step-00000002"], Directory.GetDirectories(fixture.Path("poisoned/checkpoints")).Select(Path.GetFileName).Order());
        }
    }

    private static JsonArray Ids(int row) => [.. Enumerable.Range(0, 12).Select(t => (JsonNode)(row == PoisonedRow && t == 5 ? PoisonedToken : 20 + (row * 7 + t * 3) % 200))];

    /// <summary>The model with a NaN in the embedding of one token, as a damaged download might have it.</summary>
    private static string WithPoisonedEmbedding(string model, string path)
    {
        using var file = GgufFile.Open(model);
        var writer = new GgufWriter();
        writer.CopyPairs(file.Metadata);
        foreach (var tensor in file.Tensors)
        {
            var values = new float[tensor.Elements];
            file.ReadFloats(tensor, values);
            if (tensor.Name == "token_embd.weight")
            {
                Add("output.weight", tensor, [.. values]);      // a head of its own, so that the others' logits are sound
                values[PoisonedToken * tensor.RowLength + 3] = float.NaN;
            }
            Add(tensor.Name, tensor, values);
        }
        writer.Save(path);
        return path;

        void Add(string name, GgufTensor tensor, float[] values) =>
            writer.AddTensor(name, tensor.Dimensions, GgufType.F32, stream => stream.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(values)));
    }
}
