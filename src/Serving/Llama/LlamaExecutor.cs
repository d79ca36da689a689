using System.Diagnostics;
using TokenMill.Serving.Llama.Native;
using TokenMill.Serving.Scheduler;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Llama;

namespace TokenMill.Serving.Llama;

internal sealed record LlamaExecutorOptions
{
    /// <summary>Tokens whose keys and values fit at once; null chooses by the model and <see cref="DefaultCacheBytes"/>.</summary>
    public int? ContextTokens { get; init; }

    /// <summary>Null: as precise as the weights, single precision for a model in single precision, else half.</summary>
    public KeyValueType? KeyValueType { get; init; }

    /// <summary>At most; fewer are used while the machine is busy.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;
    public int MaxRunning { get; init; } = 16;

    /// <summary>Adapters in memory at once; others are read again when they are asked.</summary>
    public int MaxAdapters { get; init; } = 16;
    public int StepTokens { get; init; } = 512;

    /// <summary>Prompt tokens of a step whose logits are all wanted; each row is as wide as the vocabulary.</summary>
    public int ScoredTokensPerStep { get; init; } = 64;

    public const long DefaultCacheBytes = 256L << 20;
    public const int LeastDefaultContext = 4096, MostRunning = 128;
}

/// <summary>
/// The llama.cpp runner. One unified cache for all sequences, so that a fork is a change of metadata and a prefix's cells are
/// shared token by token; sequence ids beyond the running ones hold cached prefixes. Owned by one thread at a time.
/// </summary>
internal sealed unsafe class LlamaExecutor : IModelExecutor
{
    private const int NativeSequenceIds = 256, CellGranularity = 256, NoRoom = 1;
    private static readonly TimeSpan WarmUpTime = TimeSpan.FromSeconds(1);

    private readonly LlamaContextHandle _context;
    private readonly nint _memory;
    private readonly LlamaBatch _batch;
    private readonly int[] _rows;                              // row of logits → token of the batch
    private readonly Func<string, string?> _adapterPath;
    private readonly Dictionary<string, LlamaAdapterHandle> _adapters = [];
    private readonly Dictionary<int, GgmlThreadpoolHandle> _pools = [];   // by size; those not attached sleep
    private ThreadTuner _tuner;
    private int _attached;
    private string? _activeAdapter;
    private int _rowCount;

    /// <param name="adapterPath">The GGUF file of an adapter, or null if there is none of that name. Called on the engine's thread.</param>
    public LlamaExecutor(LlamaModel model, LlamaExecutorOptions options, Func<string, string?>? adapterPath = null)
    {
        Model = model;
        _adapterPath = adapterPath ?? (_ => null);
        var type = options.KeyValueType ?? (model.IsSinglePrecision ? Llama.KeyValueType.F32 : Llama.KeyValueType.F16);
        var cells = ContextCells(model, type, options);

        (MaxStepTokens, MaxRunning, MaxAdapters) = (options.StepTokens, options.MaxRunning, options.MaxAdapters);
        var parameters = EngineNative.llama_context_default_params();
        parameters.n_ctx = cells;
        parameters.n_batch = parameters.n_ubatch = (uint)Math.Max(options.StepTokens, options.MaxRunning);
        parameters.n_seq_max = (uint)options.MaxRunning;
        parameters.n_outputs_max = (uint)(MaxStepRows = options.MaxRunning + options.ScoredTokensPerStep);
        parameters.n_threads = parameters.n_threads_batch = options.Threads;
        parameters.type_k = parameters.type_v = (int)type;
        parameters.kv_unified = 1;
        // Flash attention rounds queries and scores to half precision, which would waste single-precision keys and values.
        // Quantised values can be read by nothing else.
        parameters.flash_attn_type = type switch { Llama.KeyValueType.F32 => 0, Llama.KeyValueType.F16 => parameters.flash_attn_type, _ => 1 };
        _context = LlamaContextHandle.Create(model.Handle, parameters);
        CapacityTokens = (int)EngineNative.llama_n_ctx(_context);
        // Recurrent models keep a state per sequence, not cells: nothing to share, as many sequences as run.
        SharesPrefixes = !model.IsRecurrent;
        StateFormat = model.IsRecurrent || model.HasSlidingWindow ? null : $"llama.cpp v0.5.0, {type}";
        MaxSequences = model.IsRecurrent ? options.MaxRunning : NativeSequenceIds;
        _memory = EngineNative.llama_get_memory(_context);
        _batch = EngineNative.llama_batch_init(MaxStepTokens, embd: 0, n_seq_max: 1);
        _rows = new int[MaxStepTokens];
        _tuner = new ThreadTuner(options.Threads, TimeProvider.System);
        Attach(_tuner.Current);
    }

    public LlamaModel Model { get; }
    public int MaxRunning { get; }
    public int VocabularySize => Model.Vocabulary.Count;
    public int CapacityTokens { get; }
    public int MaxSequenceTokens => Model.TrainedContext;
    public int MaxSequences { get; }
    public int MaxStepTokens { get; }
    public int MaxStepRows { get; }
    public bool SharesPrefixes { get; }
    public int MaxAdapters { get; }
    public string? StateFormat { get; }

    /// <summary>The file is checked again each time, since it may have been changed or lost.</summary>
    public Error? LoadAdapter(string adapter)
    {
        if (_adapterPath(adapter) is not { } path) return new Error("adapter-removed", "the adapter was removed before the request was computed", "choose another model");
        try
        {
            using (var file = GgufAdapter.Read(GgufFile.Open(path))) file.CheckFits(Model.File);
            _adapters.Add(adapter, LlamaAdapterHandle.Load(Model.Handle, path));
            return null;
        }
        catch (RefusedException e)
        {
            return e.Error;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)   // its message names the file, which is not the client's affair
        {
            return new Error("adapter-unreadable", "the adapter's file is gone or cannot be read any more", "add the adapter again");
        }
    }

    public void UnloadAdapter(string adapter)
    {
        if (adapter == _activeAdapter) UseAdapter(null);
        if (_adapters.Remove(adapter, out var handle)) handle.Dispose();
    }

    /// <summary>Changes how many threads a step may have.</summary>
    public void SetThreads(int most)
    {
        _tuner = new ThreadTuner(most, TimeProvider.System);
    }

    /// <summary>Computes a few single tokens and forgets them: the weights are in memory then, and the count of threads is found.</summary>
    /// <exception cref="RefusedException">model-fails.</exception>
    public void WarmUp()
    {
        const int most = 16;
        var start = Stopwatch.GetTimestamp();
        for (var i = 0; i < most && (i < 2 || Stopwatch.GetElapsedTime(start) < WarmUpTime); i++)
        {
            var batch = _batch;
            (batch.n_tokens, batch.token[0], batch.pos[0], batch.n_seq_id[0], batch.seq_id[0][0], batch.logits[0]) = (1, Math.Max(0, Model.Vocabulary.Bos), 0, 1, 0, 1);
            var status = Decode(batch, counts: i > 0);         // the first one reads the file
            if (status != 0) throw new RefusedException("model-fails", $"llama.cpp loads the model but cannot compute with it (status {status}: {LlamaLog.Errors()})", "try another file of this model");
            EngineNative.llama_memory_seq_rm(_memory, 0, -1, -1);
        }
    }

    public StepOutcome Execute(StepPlan plan)
    {
        if (plan.TokenCount > MaxStepTokens) throw new ArgumentException($"{plan.TokenCount} tokens in a step of at most {MaxStepTokens}");
        if (plan.RowCount > MaxStepRows) throw new ArgumentException($"{plan.RowCount} rows of logits in a step of at most {MaxStepRows}");
        for (var i = 0; i < plan.Operations.Count; i++) Apply(plan.Operations[i]);
        if (plan.TokenCount == 0) return StepOutcome.Computed;
        UseAdapter(plan.Adapter);
        return Decode(Fill(plan), counts: true) switch
        {
            0 => StepOutcome.Computed,
            NoRoom => StepOutcome.CacheFull,
            var status => throw new InvalidOperationException($"llama_decode failed with {status}: {LlamaLog.Errors()}"),
        };
    }

    public byte[] Save(SequenceId sequence, int mostBytes)
    {
        var size = (long)EngineNative.llama_state_seq_get_size(_context, sequence.Value);
        if (size > mostBytes) throw new RefusedException("state-too-large", $"keys and values of the conversation take {size:N0} bytes, at most {mostBytes:N0} can be moved", "let the other process compute the conversation");
        try
        {
            var state = new byte[size];
            fixed (byte* bytes = state)
                if ((long)EngineNative.llama_state_seq_get_data(_context, bytes, (nuint)size, sequence.Value) == size) return state;
        }
        catch (OutOfMemoryException)
        {
            throw new RefusedException("state-not-saved", $"there is no memory for the {size:N0} bytes of the conversation", "try again when less is running, or let the other process compute the conversation");
        }
        throw new RefusedException("state-not-saved", $"llama.cpp does not give the conversation's state: {LlamaLog.Errors()}", "let the other process compute the conversation");
    }

    public bool Restore(SequenceId sequence, int tokens, ReadOnlySpan<byte> state)
    {
        if (!LlamaState.IsOf(tokens, state)) return false;
        nuint read;
        fixed (byte* bytes = state) read = EngineNative.llama_state_seq_set_data(_context, bytes, (nuint)state.Length, sequence.Value);
        if (read == (nuint)state.Length && EngineNative.llama_memory_seq_pos_min(_memory, sequence.Value) == 0 && EngineNative.llama_memory_seq_pos_max(_memory, sequence.Value) == tokens - 1) return true;
        EngineNative.llama_memory_seq_rm(_memory, sequence.Value, -1, -1);
        return false;
    }

    public ReadOnlySpan<float> Logits(int row)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)row, (uint)_rowCount);
        return new ReadOnlySpan<float>(EngineNative.llama_get_logits_ith(_context, _rows[row]), VocabularySize);
    }

    public void Dispose()
    {
        _context.Dispose();
        foreach (var pool in _pools.Values) pool.Dispose();
        foreach (var adapter in _adapters.Values) adapter.Dispose();
        EngineNative.llama_batch_free(_batch);
    }

    /// <summary>As asked, or as much as the default size holds: at least one usual conversation, at most what all requests together can use.</summary>
    /// <exception cref="RefusedException">context-too-large: it does not fit into the memory of this machine.</exception>
    private static uint ContextCells(LlamaModel model, KeyValueType type, LlamaExecutorOptions options)
    {
        var bytesPerToken = model.KeyValueNumbersPerToken * type.BytesPerNumber();
        var longest = (long)model.TrainedContext * options.MaxRunning;
        long tokens = options.ContextTokens ?? Math.Clamp((long)(LlamaExecutorOptions.DefaultCacheBytes / bytesPerToken), Math.Min(model.TrainedContext, LlamaExecutorOptions.LeastDefaultContext), longest);
        var cells = (tokens + CellGranularity - 1) / CellGranularity * CellGranularity;
        var memory = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        if (cells * bytesPerToken > memory)
            throw new RefusedException("context-too-large", $"keys and values of {cells} tokens take {cells * bytesPerToken / (1L << 30):0.0} GiB, the machine has {memory / (double)(1L << 30):0.0}", $"give --context at most {(long)(memory / 2 / bytesPerToken)}, or --kv-type q8_0");
        return (uint)cells;
    }

    private int Decode(LlamaBatch batch, bool counts)
    {
        Attach(_tuner.Choose(batch.n_tokens));
        var start = Stopwatch.GetTimestamp();
        var status = EngineNative.llama_decode(_context, batch);
        if (status == 0 && counts) _tuner.Observe(_attached, batch.n_tokens, Stopwatch.GetElapsedTime(start));
        return status;
    }

    private void Attach(int threads)
    {
        if (threads == _attached) return;
        if (!_pools.TryGetValue(threads, out var pool)) _pools[threads] = pool = new GgmlThreadpoolHandle(threads);
        var handle = pool.DangerousGetHandle();                // it lives as long as the context
        EngineNative.llama_attach_threadpool(_context, handle, handle);
        EngineNative.llama_set_n_threads(_context, threads, threads);
        _attached = threads;
    }

    private void Apply(CacheOperation operation)
    {
        var target = operation.Target.Value;
        switch (operation.Kind)
        {
            case CacheOperationKind.Fork:
                EngineNative.llama_memory_seq_cp(_memory, operation.Source.Value, target, 0, operation.Length);
                break;
            case CacheOperationKind.Truncate:
                EngineNative.llama_memory_seq_rm(_memory, target, operation.Length, -1);
                break;
            default:
                EngineNative.llama_memory_seq_rm(_memory, target, -1, -1);
                break;
        }
    }

    private void UseAdapter(string? name)
    {
        if (name == _activeAdapter) return;
        var adapter = name is null ? 0 : _adapters[name].DangerousGetHandle();   // owned by this executor until it is disposed
        var scale = 1f;
        var status = EngineNative.llama_set_adapters_lora(_context, &adapter, name is null ? 0u : 1u, &scale);
        if (status != 0) throw new InvalidOperationException($"llama_set_adapters_lora failed with {status}");
        _activeAdapter = name;
    }

    private LlamaBatch Fill(StepPlan plan)
    {
        var batch = _batch;
        batch.n_tokens = 0;
        _rowCount = 0;
        for (var p = 0; p < plan.Parts.Count; p++)
        {
            var part = plan.Parts[p];
            var tokens = part.Tokens.Span;
            for (var i = 0; i < tokens.Length; i++)
            {
                var at = batch.n_tokens++;
                var wanted = part.Logits == LogitsWanted.All || part.Logits == LogitsWanted.Last && i == tokens.Length - 1;
                batch.token[at] = tokens[i];
                batch.pos[at] = part.Position + i;
                batch.n_seq_id[at] = 1;
                batch.seq_id[at][0] = part.Sequence.Value;
                batch.logits[at] = (sbyte)(wanted ? 1 : 0);
                if (wanted) _rows[_rowCount++] = at;
            }
        }
        return batch;
    }
}
