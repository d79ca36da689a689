using TokenMill.Shared.ChatTemplates;
using TokenMill.Shared.Formats.HuggingFace;
using TokenMill.Training.Data;
using TokenMill.Training.Lora;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Models;

/// <summary>
/// A decoder with its loss. Batches are flat: all tokens behind each other without padding, divided into segments that do
/// not see each other. Not thread-safe: it belongs to the thread that trains.
/// </summary>
public sealed class CausalModel : IDisposable
{
    private const string EmbeddingName = "model.embed_tokens", HeadName = "lm_head";

    private readonly ModelUse _use;
    private readonly Tensor? _embedding;                // (vocabulary, hidden): the model's format, or the fp32 master where it is trained
    private readonly StoredRows? _storedEmbedding;      // instead of it
    private readonly Tensor _norm;
    private readonly LinearWeight _head;
    private readonly Tensor? _headMaster;               // the embedding itself where the head is tied
    private readonly DecoderLayer[] _layers;
    private readonly RotaryTables _rotary;

    public CausalModel(ModelConfig config, IWeightSource source, ModelUse use)
    {
        (Config, _use, _rotary) = (config, use, new RotaryTables(config));
        var trainsEmbedding = use.TrainsModule(EmbeddingName);
        if (use.KeepsStored && !trainsEmbedding && !use.TrainsModule(HeadName))
        {
            _storedEmbedding = Stored("token_embd.weight");
            _head = new StoredWeight(config.TiedHead ? _storedEmbedding : Stored("output.weight"), use.Type);
        }
        else
        {
            using var scope = new TensorScope();
            var head = new PackedWeight(config.VocabularySize, config.HiddenSize, use.Type, use.Trains);
            var table = head.Source();
            source.Read("token_embd.weight", table, config.HiddenSize);
            _embedding = scope.Keep(Operators.Convert(Tensor.From(table, config.VocabularySize, config.HiddenSize), trainsEmbedding ? TensorType.Float32 : use.Type));
            if (config.TiedHead) _headMaster = trainsEmbedding ? _embedding : null;
            else
            {
                source.Read("output.weight", table, config.HiddenSize);
                if (use.TrainsModule(HeadName)) _headMaster = scope.Keep(Tensor.From(table, config.VocabularySize, config.HiddenSize));
            }
            head.Pack();
            _head = head;
        }
        if (trainsEmbedding) _embedding!.RequireGradient();
        _headMaster?.RequireGradient();
        _norm = Norm(source, "output_norm.weight", config.HiddenSize);
        _layers = [.. Enumerable.Range(0, config.Layers).Select(index => new DecoderLayer(config, index, source, use))];
        foreach (var norm in Norms().Where(Trains)) norm.Value.RequireGradient();

        StoredRows Stored(string name)
        {
            var rows = new StoredRows(config.HiddenSize);
            source.ReadStored(name, rows, config.VocabularySize);
            return rows;
        }
    }

    public ModelConfig Config { get; }

    public TensorType Type => _use.Type;

    /// <summary>The weights that are trained: all, or the whole modules beside adapters, which have parameters of their own.</summary>
    public IEnumerable<Parameter> Parameters()
    {
        if (_use.TrainsModule(EmbeddingName)) yield return new Parameter($"{EmbeddingName}.weight", _embedding!, Decays: true);
        if (!Config.TiedHead && _headMaster is not null) yield return new Parameter($"{HeadName}.weight", _headMaster, Decays: true);
        foreach (var parameter in Norms().Where(Trains).Concat(_layers.SelectMany(layer => layer.Linears).SelectMany(linear => linear.Parameters()))) yield return parameter;
    }

    /// <summary>Modules that can be trained whole beside adapters, by the last words of their names.</summary>
    public IEnumerable<string> WholeModules() =>
        Norms().Select(norm => ModulePattern.LastWord(norm.Name[..^".weight".Length])).Concat(Config.TiedHead ? ["embed_tokens (the output layer is tied to it)"] : ["embed_tokens", HeadName]).Distinct();

    /// <summary>Every place an adapter can sit on.</summary>
    public IEnumerable<AdapterSite> AdapterSites() => _layers.SelectMany(layer => layer.Linears).SelectMany(linear => linear.Sites());

    /// <summary>The trained weights in Hugging Face's names and shapes, for export.</summary>
    public IEnumerable<TrainedWeight> Weights()
    {
        if (_use.TrainsModule(EmbeddingName)) yield return new TrainedWeight($"{EmbeddingName}.weight", [Config.VocabularySize, Config.HiddenSize], _embedding!.ToFloats);
        if (!Config.TiedHead && _headMaster is not null) yield return new TrainedWeight($"{HeadName}.weight", [Config.VocabularySize, Config.HiddenSize], _headMaster.ToFloats);
        foreach (var norm in Norms().Where(Trains)) yield return new TrainedWeight(norm.Name, [(int)norm.Value.Count], norm.Value.ToFloats);
        foreach (var weight in _layers.SelectMany(layer => layer.Linears).SelectMany(linear => linear.Weights())) yield return weight;
    }

    /// <summary>Takes over what the optimizer has changed.</summary>
    public void Repack()
    {
        if (_headMaster is not null) ((PackedWeight)_head).Pack(_headMaster);
        foreach (var linear in _layers.SelectMany(layer => layer.Linears)) linear.Repack();
    }

    /// <summary>The losses of a micro-batch's supervised tokens, in its order. The output layer is computed for those tokens only.</summary>
    public TokenLosses Losses(PackedBatch batch, Regularization regularization = default)
    {
        if (batch.SupervisedTokens == 0) throw new ArgumentException("a batch without supervised tokens has no loss", nameof(batch));
        var rows = new List<long>(batch.SupervisedTokens);
        var targets = new List<long>(batch.SupervisedTokens);
        for (var t = 1; t < batch.Tokens; t++)
        {
            if (batch.Labels[t] == EncodedExample.Unsupervised) continue;
            rows.Add(t - 1);
            targets.Add(batch.Labels[t]);
        }
        var attention = new SegmentAttention(Config, [.. batch.SegmentStarts], batch.LongestSegment, _rotary);
        var (stream, delta) = Run(batch.Ids, attention, regularization, regularization.EmbeddingNoise > 0 ? EmbeddingNoise(batch, regularization) : null);
        var selected = Tensor.From([.. rows], rows.Count);
        var hidden = Hidden(Operators.SelectRows(stream, selected), Operators.SelectRows(delta, selected));
        return FusedOperators.HeadLoss(hidden, _head, _headMaster, [.. targets], regularization.LabelSmoothing, Config.Traits.LogitSoftcap);
    }

    /// <summary>Logits (n, vocabulary) of every position of one sequence, computed for <paramref name="use"/> in pieces of rows: their first row and values.</summary>
    public void Logits(int[] ids, Action<int, float[]> use)
    {
        const int rowsAtOnce = 64;
        using var scope = new TensorScope();
        using var mode = TorchRuntime.WithoutGradient();
        var (stream, delta) = Run(ids, new SegmentAttention(Config, [0, ids.Length], ids.Length, _rotary), default);
        for (var first = 0; first < ids.Length; first += rowsAtOnce)
        {
            using var piece = new TensorScope();
            var count = Math.Min(rowsAtOnce, ids.Length - first);
            var rows = Tensor.From([.. Enumerable.Range(first, count).Select(row => (long)row)], count);
            use(first, Head(Operators.SelectRows(stream, rows), Operators.SelectRows(delta, rows)));
        }
    }

    internal KeyValueCache NewCache(int capacity) => new(Config, capacity, Type, _rotary);

    /// <summary>Adds tokens to a cached sequence; gives the logits (vocabulary) behind the last one.</summary>
    internal float[] Continue(KeyValueCache cache, int[] ids)
    {
        using var scope = new TensorScope();
        using var mode = TorchRuntime.WithoutGradient();
        var (stream, delta) = Run(ids, cache, default);
        cache.Length += ids.Length;
        var last = Tensor.From([ids.Length - 1L], 1);
        return Head(Operators.SelectRows(stream, last), Operators.SelectRows(delta, last));
    }

    public void Dispose()
    {
        _embedding?.Dispose();
        _headMaster?.Dispose();
        _norm.Dispose();
        _head.Dispose();
        _rotary.Dispose();
        foreach (var layer in _layers) layer.Dispose();
    }

    internal static Tensor Norm(IWeightSource source, string name, int width)
    {
        var values = new float[width];
        source.Read(name, values, 1);
        return Tensor.From(values, width);
    }

    private (Tensor Stream, Tensor Delta) Run(int[] ids, IAttention attention, Regularization regularization, Tensor? noise = null)
    {
        var stream = Operators.Scale(Embed(ids), Config.Traits.EmbeddingScale ?? MathF.Sqrt(Config.HiddenSize));
        if (noise is not null) stream = Operators.Add(stream, noise);
        Tensor? delta = null;
        foreach (var layer in _layers)
        {
            // What autograd does not keep for the way back is freed layer by layer.
            var (streamBefore, deltaBefore) = (stream, delta);
            using (var scope = new TensorScope())
            {
                (Tensor, Tensor) Pass(Tensor x, Tensor? added) => layer.Forward(x, added, Type, attention, regularization.Dropout, regularization.Seed);
                (stream, delta) = _use.RepeatsLayers && TorchRuntime.RecordsGradient ? RepeatedLayer.Forward(stream, delta, Pass) : Pass(stream, delta);
                scope.Keep(stream);
                scope.Keep(delta);
            }
            streamBefore.Dispose();
            deltaBefore?.Dispose();
        }
        return (stream, delta!);
    }

    /// <summary>(T, hidden), fp32.</summary>
    private Tensor Embed(int[] ids)
    {
        if (_embedding is not null) return Operators.Convert(Operators.Embedding(_embedding, Tensor.From([.. ids.Select(id => (long)id)], ids.Length)), TensorType.Float32);
        var rows = new float[ids.Length * Config.HiddenSize];
        for (var i = 0; i < ids.Length; i++) _storedEmbedding!.Expand(ids[i], rows.AsSpan(i * Config.HiddenSize, Config.HiddenSize));
        return Operators.Convert(Operators.Convert(Tensor.From(rows, ids.Length, Config.HiddenSize), Type), TensorType.Float32);
    }

    private float[] Head(Tensor stream, Tensor delta) => FusedOperators.Logits(Hidden(stream, delta), _head, Config.Traits.LogitSoftcap).ToFloats();

    /// <summary>What goes into the output layer.</summary>
    private Tensor Hidden(Tensor stream, Tensor delta) => Operators.Scale(FusedOperators.AddRmsNorm(stream, delta, _norm, Config.NormEpsilon).Normed, Config.Traits.LogitScale);

    /// <summary>NEFTune (Jain et al., 2023): uniform in ±alpha/√(length·hidden) for each sequence.</summary>
    private Tensor EmbeddingNoise(PackedBatch batch, Regularization regularization)
    {
        var noise = new float[(long)batch.Tokens * Config.HiddenSize];
        var random = new SeededRandom(SeededRandom.Mix(regularization.Seed, ulong.MaxValue));       // layers take the first numbers
        for (var segment = 0; segment < batch.Segments; segment++)
        {
            var (start, end) = (batch.SegmentStarts[segment], batch.SegmentStarts[segment + 1]);
            var bound = regularization.EmbeddingNoise / Math.Sqrt((double)(end - start) * Config.HiddenSize);
            foreach (ref var value in noise.AsSpan(start * Config.HiddenSize, (end - start) * Config.HiddenSize)) value = (float)((2 * random.Uniform() - 1) * bound);
        }
        return Tensor.From(noise, batch.Tokens, Config.HiddenSize);
    }

    private IEnumerable<Parameter> Norms() => _layers.SelectMany(layer => layer.Norms()).Append(new Parameter("model.norm.weight", _norm, Decays: false));

    private bool Trains(Parameter parameter) => _use.TrainsModule(parameter.Name[..^".weight".Length]);
}
