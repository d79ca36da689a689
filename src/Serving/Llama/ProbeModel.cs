using TokenMill.Serving.PrefixCache;
using TokenMill.Serving.Scheduler;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Serving.Llama;

/// <summary>
/// A model of one block, made up on the spot, that has a weight matrix of each type for which plugins have kernels of their own
/// (repacked, AVX-512, AMX). Computing a prompt and an answer with it shows whether a CPU plugin runs on this machine.
/// </summary>
internal static class ProbeModel
{
    private const int Width = 256, Vocabulary = 256, PromptTokens = 40, AnswerTokens = 4;

    /// <summary>Loads this plugin and computes. Ends with an exception, or with the process.</summary>
    public static void Compute(string pluginPath)
    {
        CpuPlugin.LoadOnly(pluginPath);
        var path = Path.Combine(Path.GetTempPath(), $"tokenmill-probe-{Guid.NewGuid():N}.gguf");
        try
        {
            Write(path);
            using var model = LlamaModel.Load(path);
            using var executor = new LlamaExecutor(model, new LlamaExecutorOptions { ContextTokens = 256, MaxRunning = 2 });
            var scheduler = new RequestScheduler(executor, new SchedulerOptions { MaxRunning = 2 });
            var consumers = new[] { new Answer(), new Answer() };
            foreach (var (consumer, i) in consumers.Select((c, i) => (c, i)))
                scheduler.Submit(new EngineRequest([.. Enumerable.Range(i, PromptTokens)], AnswerTokens, new CacheKey("", null), consumer));
            while (scheduler.Plan() is { } plan)
            {
                if (executor.Execute(plan) == StepOutcome.CacheFull) throw new InvalidOperationException("no room for the probe");
                scheduler.Complete(plan);
            }
            if (consumers.Any(c => c.Tokens != AnswerTokens)) throw new InvalidOperationException("the probe was not computed");
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static void Write(string path)
    {
        var writer = new GgufWriter();
        writer.Add("general.architecture", "llama");
        writer.Add("general.name", "probe");
        writer.Add("llama.context_length", 256u);
        writer.Add("llama.embedding_length", (uint)Width);
        writer.Add("llama.block_count", 1u);
        writer.Add("llama.feed_forward_length", (uint)Width);
        writer.Add("llama.attention.head_count", 4u);
        writer.Add("llama.attention.head_count_kv", 2u);
        writer.Add("llama.attention.layer_norm_rms_epsilon", 1e-5f);
        writer.Add("tokenizer.ggml.model", "gpt2");
        writer.Add("tokenizer.ggml.pre", "smollm");
        writer.Add("tokenizer.ggml.tokens", [.. Enumerable.Range(0, Vocabulary).Select(i => $"t{i}")]);
        writer.Add("tokenizer.ggml.token_type", [.. Enumerable.Repeat(1, Vocabulary)]);
        writer.Add("tokenizer.ggml.merges", ["t 0"]);

        float[] ones = [.. Enumerable.Repeat(1f, Width)];
        float[] embedding = [.. Enumerable.Range(0, Width * Vocabulary).Select(i => MathF.Sin(i))];
        writer.AddTensor("token_embd.weight", [Width, Vocabulary], embedding);
        writer.AddTensor("output_norm.weight", [Width], ones);
        AddMatrix(writer, "output.weight", GgufType.Q8_0, Vocabulary);
        writer.AddTensor("blk.0.attn_norm.weight", [Width], ones);
        AddMatrix(writer, "blk.0.attn_q.weight", GgufType.Q4_0, Width);
        AddMatrix(writer, "blk.0.attn_k.weight", GgufType.Q4_K, Width / 2);
        AddMatrix(writer, "blk.0.attn_v.weight", GgufType.Q6_K, Width / 2);
        AddMatrix(writer, "blk.0.attn_output.weight", GgufType.F16, Width);
        writer.AddTensor("blk.0.ffn_norm.weight", [Width], ones);
        AddMatrix(writer, "blk.0.ffn_gate.weight", GgufType.Q5_K, Width);
        AddMatrix(writer, "blk.0.ffn_up.weight", GgufType.BF16, Width);
        AddMatrix(writer, "blk.0.ffn_down.weight", GgufType.Q4_1, Width);
        writer.Save(path);
    }

    private static void AddMatrix(GgufWriter writer, string name, GgufType type, int rows)
    {
        var bytes = new byte[new GgufTensor(name, [Width, rows], type, 0).SizeBytes];
        if (GgufEncoder.CanEncode(type)) GgufEncoder.Encode(type, [.. Enumerable.Range(0, Width * rows).Select(i => MathF.Cos(i) / 16)], bytes);
        writer.AddTensor(name, [Width, rows], type, stream => stream.Write(bytes));   // the rest are zeros: kernels run alike
    }

    private sealed class Answer : ILogitsConsumer
    {
        public int Tokens { get; private set; }
        public bool WantsEveryPosition => false;

        public Decision OnLogits(int position, ReadOnlySpan<float> logits)
        {
            foreach (var logit in logits)
                if (!float.IsFinite(logit)) throw new InvalidOperationException($"the plugin computed {logit}");
            Tokens++;
            return Decision.Continue(Tokens);
        }

        public void OnEnded(EndReason reason, Error? error)
        {
            if (error is not null) throw new RefusedException(error);
        }
    }
}
