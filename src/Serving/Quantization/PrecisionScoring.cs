using System.Numerics.Tensors;
using TokenMill.Serving.Host;
using TokenMill.Serving.Sampling;
using TokenMill.Serving.Scheduler;
using TokenMill.Shared.ChatTemplates;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Quantization;

/// <summary>How near a variant's predictions are to the original's. The divergence is Σ p (ln p − ln q) in nats, p the original's, averaged over the scored tokens.</summary>
public sealed record Precision(double Perplexity, double KlDivergence, double Top1Agreement);

/// <summary>Scores examples one by one: as the original, whose distributions are kept, or as a variant that is compared with them.</summary>
internal sealed class PrecisionScoring(OriginalDistributions original, bool isOriginal)
{
    private double _nll, _divergence;
    private int _scored, _agreed;

    public async Task<Precision> RunAsync(ServedModel model, IReadOnlyList<EncodedExample> examples, Action<double> progress, CancellationToken cancellationToken)
    {
        original.Rewind();
        for (var i = 0; i < examples.Count; i++)
        {
            var reader = new Reader(this, examples[i]);
            using (model.Start(examples[i].Ids, 0, adapter: null, tenant: "", reader, cancellationToken))
            {
                try
                {
                    await reader.Ended;
                }
                catch (RefusedException) when (model.Ended.IsCompleted)
                {
                    if (await model.Ended is IOException full) throw new IOException(full.Message, full);   // no room for the distributions
                    throw;
                }
            }
            progress((i + 1.0) / examples.Count);
        }
        return new Precision(Math.Exp(_nll / _scored), _divergence / _scored, (double)_agreed / _scored);
    }

    private void Take(ReadOnlySpan<float> logits, int token)
    {
        var logOfSum = PromptScoring.LogOfSum(logits);
        _scored++;
        _nll -= logits[token] - logOfSum;
        if (isOriginal)
        {
            original.Write(logits, logOfSum);
            _agreed++;
            return;
        }
        var expected = original.Next();
        if (TensorPrimitives.IndexOfMax(expected) == TensorPrimitives.IndexOfMax(logits)) _agreed++;
        var divergence = 0.0;
        for (var i = 0; i < expected.Length; i++) divergence += Math.Exp(expected[i]) * (expected[i] - (logits[i] - logOfSum));
        _divergence += divergence;
    }

    private sealed class Reader(PrecisionScoring scoring, EncodedExample example) : ILogitsConsumer
    {
        private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Ended => _ended.Task;

        public bool WantsEveryPosition => true;

        public Decision OnLogits(int position, ReadOnlySpan<float> logits)
        {
            var next = position + 1;
            if (next < example.Ids.Length && example.Labels[next] != EncodedExample.Unsupervised) scoring.Take(logits, example.Ids[next]);
            return Decision.End();
        }

        public void OnEnded(EndReason reason, Error? error)
        {
            if (reason == EndReason.Stop) _ended.SetResult();
            else if (error is null) _ended.SetCanceled();
            else _ended.SetException(new RefusedException(error));
        }
    }
}
