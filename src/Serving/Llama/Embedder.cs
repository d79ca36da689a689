using System.Numerics.Tensors;
using TokenMill.Serving.Llama.Native;
using TokenMill.Serving.Scheduler;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Llama;

namespace TokenMill.Serving.Llama;

/// <summary>
/// Vectors of texts: unit length, pooled as the model file says, and by the last token where it says nothing (a model that writes text has
/// seen all of it there). Several texts are computed at once. Thread-safe; one batch is computed at a time.
/// </summary>
internal sealed class Embedder : IDisposable
{
    private const int MaxTokensPerText = 8_192, MaxTextsPerBatch = 64, MaxWaiting = 256, BatchTokens = 2_048;
    private const int LastToken = 3, Unspecified = -1;

    private readonly LlamaModel _model;
    private readonly LlamaContextHandle _context;
    private readonly GgmlThreadpoolHandle _pool;
    private readonly nint _memory;
    private readonly LlamaBatch _batch;
    private readonly int _batchTokens;
    private readonly SemaphoreSlim _turn = new(1);
    private int _waiting;

    public Embedder(LlamaModel model, int threads)
    {
        _model = model;
        MaxTokens = Math.Min(model.TrainedContext, MaxTokensPerText);
        _batchTokens = Math.Max(MaxTokens, BatchTokens);       // an encoder sees a whole text at once
        var architecture = model.File.Metadata.String("general.architecture");
        var parameters = EngineNative.llama_context_default_params();
        parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = (uint)_batchTokens;
        parameters.n_seq_max = MaxTextsPerBatch;
        parameters.n_threads = parameters.n_threads_batch = threads;
        parameters.embeddings = parameters.kv_unified = 1;
        parameters.pooling_type = model.File.Metadata.TryUInt32($"{architecture}.pooling_type") is > 0 ? Unspecified : LastToken;
        _context = LlamaContextHandle.Create(model.Handle, parameters);
        _memory = EngineNative.llama_get_memory(_context);
        _pool = new GgmlThreadpoolHandle(threads);
        EngineNative.llama_attach_threadpool(_context, _pool.DangerousGetHandle(), _pool.DangerousGetHandle());
        _batch = EngineNative.llama_batch_init(_batchTokens, embd: 0, n_seq_max: 1);
    }

    /// <summary>Numbers of a vector.</summary>
    public int Length => _model.EmbeddingLength;

    /// <summary>Tokens of the longest text.</summary>
    public int MaxTokens { get; }

    public LlamaVocabulary Vocabulary => _model.Vocabulary;
    public EngineMetrics Metrics { get; } = new();

    /// <param name="texts">Token ids of each; at least one, at most <see cref="MaxTokens"/>, all of the vocabulary.</param>
    /// <exception cref="RefusedException">engine-busy.</exception>
    public async Task<IReadOnlyList<float[]>> EmbedAsync(IReadOnlyList<int[]> texts, CancellationToken cancellationToken)
    {
        if (Interlocked.Increment(ref _waiting) > MaxWaiting)
        {
            Interlocked.Decrement(ref _waiting);
            throw new RefusedException(new Error("engine-busy", $"{MaxWaiting} requests wait already", "ask again in a moment") { RetryAfter = TimeSpan.FromSeconds(1) });
        }
        try
        {
            var vectors = new List<float[]>();
            while (vectors.Count < texts.Count)
            {
                await _turn.WaitAsync(cancellationToken);      // after each batch another request may have its turn
                try
                {
                    await Task.Run(() => EmbedBatch(texts, vectors), CancellationToken.None);
                }
                finally
                {
                    _turn.Release();
                }
            }
            return vectors;
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }
    }

    public void Dispose()
    {
        _turn.Wait();                                          // for the batch that is being computed
        _context.Dispose();
        _pool.Dispose();
        EngineNative.llama_batch_free(_batch);
    }

    /// <summary>As many of the texts that follow as fit into one batch.</summary>
    private unsafe void EmbedBatch(IReadOnlyList<int[]> texts, List<float[]> vectors)
    {
        var batch = _batch;
        batch.n_tokens = 0;
        var count = 0;
        for (; count < MaxTextsPerBatch && vectors.Count + count < texts.Count; count++)
        {
            var ids = texts[vectors.Count + count];
            if (batch.n_tokens + ids.Length > _batchTokens) break;
            for (var i = 0; i < ids.Length; i++)
            {
                var at = batch.n_tokens++;
                (batch.token[at], batch.pos[at], batch.n_seq_id[at], batch.seq_id[at][0], batch.logits[at]) = (ids[i], i, 1, count, 1);
            }
        }
        if (_memory != 0) EngineNative.llama_memory_clear(_memory, data: false);
        LlamaLog.Clear();
        var status = EngineNative.llama_decode(_context, batch);
        if (status != 0) throw new InvalidOperationException($"llama_decode failed with {status}: {LlamaLog.Errors()}");
        Metrics.CountStep(batch.n_tokens);
        for (var i = 0; i < count; i++)
        {
            var pointer = EngineNative.llama_get_embeddings_seq(_context, i);
            if (pointer is null) throw new InvalidOperationException("llama.cpp gave no embedding");
            vectors.Add(Normalised(new ReadOnlySpan<float>(pointer, Length)));
        }
    }

    /// <summary>The same direction with length 1; a vector of zeros stays one.</summary>
    public static float[] Normalised(ReadOnlySpan<float> vector)
    {
        var result = new float[vector.Length];
        var norm = TensorPrimitives.Norm(vector);
        if (norm > 0) TensorPrimitives.Divide(vector, norm, result);
        return result;
    }
}
