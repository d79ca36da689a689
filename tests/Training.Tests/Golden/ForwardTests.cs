using System.Text.Json.Nodes;
using TokenMill.Testing;
using TokenMill.Training.Import;
using TokenMill.Training.Models;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Tests.Golden;

/// <summary>Log-probabilities and greedy tokens of other implementations, from the same weights.</summary>
public sealed class ForwardTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData("llama-tied")]
    [InlineData("llama-untied")]
    [InlineData("mistral", 64)]          // beyond its window of 64 the GGUF is another model
    [InlineData("qwen2")]
    [InlineData("qwen3")]
    [InlineData("smollm3")]
    [InlineData("phi3")]
    [InlineData("gemma3")]
    public void Family_Float32_AgreesWithHuggingFace(string family, int window = int.MaxValue) => Compare(family, Reference.Locate($"golden/families/{family}/model.gguf"), window);

    [Fact]
    public void Mistral_FromItsFolder_HasItsWindow()
    {
        var path = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.gguf");
        try
        {
            ModelImport.Run(Reference.Locate("golden/families/mistral/hf"), path, null, TestContext.Current.CancellationToken);
            Compare("mistral", path, int.MaxValue);
        }
        finally
        {
            File.Delete(path);
        }
    }

    private void Compare(string family, string path, int window)
    {
        var golden = JsonNode.Parse(File.ReadAllText(Reference.Locate($"golden/families/{family}/golden.json")))!;
        using var model = ModelLoading.Load(path, ModelUse.Inference(TensorType.Float32));
        double worstLogit = 0, worstLogProbability = 0;
        foreach (var sequence in golden["sequences"]!.AsArray())
        {
            var ids = sequence!["input_ids"].Ints();
            var scores = TokenScores.Of(model, ids);
            var expected = sequence["next_token_logprobs"].Doubles();
            for (var i = 0; i < expected.Length && i < window; i++) worstLogProbability = Math.Max(worstLogProbability, Math.Abs(expected[i] - scores.NextTokenLogProbabilities[i]) / Math.Max(1, Math.Abs(expected[i])));
            if (ids.Length > window) continue;
            var logits = sequence["last_logits"].Doubles();
            for (var i = 0; i < logits.Length; i++) worstLogit = Math.Max(worstLogit, Math.Abs(logits[i] - scores.Last[i]) / Math.Max(1, Math.Abs(logits[i])));
            if (ids.Length + 16 <= window) Assert.Equal(sequence["greedy"].Ints(), GreedyDecoding.Continue(model, ids, 16, _ => false, TestContext.Current.CancellationToken));
        }
        output.WriteLine($"{family}: worst logit {worstLogit:E1}, worst log-probability {worstLogProbability:E1} (relative, absolute below 1)");
        Assert.True(worstLogit < 1e-4 && worstLogProbability < 1e-4);
    }

    [Fact]
    public void SmolLM2_Float32_AgreesWithHuggingFace()
    {
        var golden = JsonNode.Parse(File.ReadAllText(Reference.Locate("golden/smollm2/logits_fp32.json")))!;
        using var model = ModelLoading.Load(Reference.Locate("models/SmolLM2-135M-Instruct-Q4_1.gguf"), ModelUse.Inference(TensorType.Float32));
        foreach (var @case in golden.Cases())
        {
            var ids = @case["ids"].Ints();
            var scores = TokenScores.Of(model, ids);
            var expected = @case["next_token_logprob"].Doubles();
            var worst = expected.Zip(scores.NextTokenLogProbabilities, (e, s) => Math.Abs(e - s)).Max();
            var topIds = @case["last_top50_ids"].Ints();
            var topLogits = @case["last_top50_logits"].Doubles();
            var worstLogit = topIds.Zip(topLogits, (id, logit) => Math.Abs(scores.Last[id] - logit)).Max();
            output.WriteLine($"{ids.Length} tokens: worst log-probability {worst:E1}, worst logit {worstLogit:E1}");
            Assert.True(worst < 1e-3 && worstLogit < 1e-3);
            if (@case["greedy_48"] is not { } greedy) continue;
            var wanted = greedy.Ints();
            const int endOfTurn = 2;
            var continued = GreedyDecoding.Continue(model, ids, 48, id => id == endOfTurn, TestContext.Current.CancellationToken);
            Assert.Equal(wanted.TakeWhile(id => id != endOfTurn), continued);
        }
    }
}
