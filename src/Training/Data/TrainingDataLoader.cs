using TokenMill.Shared.ChatTemplates;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.JsonLines;
using TokenMill.Shared.Jobs;

namespace TokenMill.Training.Data;

/// <summary>
/// Reads the data of a specification: rows in file order, encoded on all threads, split into training and validation by the hash of the row,
/// fitted to the length limit, and kept in two stores. Bad rows are set aside and counted; a source without a good row stops the run.
/// </summary>
/// <param name="encoder">Null for a model without a chat template.</param>
/// <param name="encodeText">Ids of a whole text, with what the model expects before and after it.</param>
/// <param name="folder">Where the encoded tokens may lie while the run lasts.</param>
public sealed class TrainingDataLoader(FineTuneSpec spec, ConversationEncoder? encoder, Func<string, int[]> encodeText, int vocabularySize, int maxLength, string folder)
{
    private const int RowsAtOnce = 512;

    private readonly RowEncoder _rows = new(encoder, encodeText, spec.Method, spec.TrainOn, vocabularySize);
    private readonly List<DataWarning> _warnings = [];

    /// <exception cref="RefusedException">A source is missing, has no good row, or a row that cannot be learned from; the message names the row.</exception>
    public TrainingData Load(CancellationToken cancellationToken)
    {
        var training = new ExampleStore(folder);
        var validation = new ExampleStore(folder);
        try
        {
            var sources = new List<SourceRange>();
            var perItem = spec.Method == TrainingMethod.Dpo ? 2 : 1;
            foreach (var source in spec.Data)
            {
                if (source.Weight is not (>= 0 and <= 1_000)) throw new RefusedException("bad-spec", $"data.weight is {source.Weight}", "give a number from 0 to 1000");
                var first = training.Count / perItem;
                Read(source, training, validation, spec.Validation?.Path is null ? spec.Validation?.Fraction ?? 0 : 0, cancellationToken);
                sources.Add(new SourceRange(first, training.Count / perItem - first, source.Weight));
            }
            if (spec.Validation?.Path is { } path) Read(spec.Data[0] with { Path = path, Format = spec.Data[0].Format == "tokens" ? "tokens" : "auto" }, validation, validation, 0, cancellationToken);
            training.Complete();
            validation.Complete();
            var order = new EpochOrder(sources, spec.BatchSize * spec.Accumulation, spec.Shuffle, spec.Seed);
            if (order.ExamplesPerEpoch == 0) throw new RefusedException("no-training-rows", "no row is left to train with", "give more data, a smaller validation.fraction, or a larger max_length");
            if (spec.Validation is not null && validation.Count == 0) _warnings.Add(new DataWarning("no-validation-rows", "no row fell into the validation share, so there is no validation loss; give more data or a larger validation.fraction"));
            return new TrainingData(training, validation, order, perItem == 2, [.. spec.Data.Zip(sources, (data, range) => (Path.GetFileName(data.Path), range.First))], _warnings);
        }
        catch
        {
            training.Dispose();
            validation.Dispose();
            throw;
        }
    }

    /// <summary>Texts are split unless told otherwise; the pieces of a pair's answers would stand without their question.</summary>
    private static Overflow OverflowOf(FineTuneSpec spec) => spec switch
    {
        { Method: TrainingMethod.Dpo, Overflow: not Overflow.Drop } => Overflow.Truncate,
        { Overflow: { } chosen } => chosen,
        { Method: TrainingMethod.Pretrain } => Overflow.Split,
        _ => Overflow.Truncate,
    };

    private void Read(DataSpec data, ExampleStore training, ExampleStore validation, double fraction, CancellationToken cancellationToken)
    {
        var (path, format) = (data.Path, data.Format);
        if (!File.Exists(path)) throw new RefusedException("data-not-found", $"{path} does not exist", "give the path of a data set");
        var reader = new DatasetReader(path, new DatasetReaderOptions { Format = format, Map = data.Map ?? new Dictionary<string, string>(), Warnings = false });
        var fit = new LengthFit(maxLength, OverflowOf(spec));
        var batch = new List<(long Row, byte[] Utf8, bool HeldOut)>(RowsAtOnce);
        var (refused, firstRefusal) = (0, (Error?)null);
        foreach (var row in reader.Rows(cancellationToken))
        {
            batch.Add((row.Row, row.Utf8.ToArray(), fraction > 0 && row.IsHeldOut(fraction)));
            if (batch.Count == RowsAtOnce) Encode();
        }
        Encode();
        Report();

        void Encode()
        {
            var encoded = new (IReadOnlyList<EncodedExample>? Examples, Error? Error)[batch.Count];
            Parallel.For(0, batch.Count, new ParallelOptions { CancellationToken = cancellationToken, MaxDegreeOfParallelism = spec.Threads ?? Environment.ProcessorCount }, i =>
            {
                try
                {
                    encoded[i] = (_rows.Encode(batch[i].Utf8, reader.Format), null);
                }
                catch (RefusedException e)
                {
                    encoded[i] = (null, e.Error);
                }
            });
            for (var i = 0; i < encoded.Length; i++)
            {
                if (encoded[i].Error is { } error)
                {
                    // What a template refuses is one row's affair; the rest says that the data as a whole is not what it should be.
                    if (error.Code is not ("template-refused" or "too-many-messages"))
                        throw new RefusedException(error with { Message = $"{Path.GetFileName(path)}, row {batch[i].Row:N0}: {error.Message}" });
                    firstRefusal ??= error with { Message = $"row {batch[i].Row:N0}: {error.Message}" };
                    refused++;
                    continue;
                }
                var store = batch[i].HeldOut ? validation : training;
                foreach (var example in spec.Method == TrainingMethod.Dpo ? fit.Pair(encoded[i].Examples!) : fit.Each(encoded[i].Examples!)) store.Add(example, batch[i].Row);
            }
            batch.Clear();
        }

        void Report()
        {
            var (report, name) = (reader.Report, Path.GetFileName(path));
            if (!report.Accepted) throw new RefusedException(report.Errors[0].Code, $"{name} has no good row: {report.Errors[0].Message}", "see the errors by row with ./run validate");
            if (report.GoodRows == refused && firstRefusal is not null) throw new RefusedException(firstRefusal);
            if (format == "tokens" && report.ErrorCount > 0) throw new RefusedException(report.Errors[0].Code, $"{name}, row {report.Errors[0].Row:N0}: {report.Errors[0].Message}", "rows of token ids are taken as they are, so each must be right");
            if (report.ErrorCount > 0) _warnings.Add(new DataWarning("rows-set-aside", $"{report.Rows - report.GoodRows:N0} of {report.Rows:N0} rows of {name} have errors and are not trained, the first in row {report.Errors[0].Row:N0}: {report.Errors[0].Message}"));
            if (refused > 0) _warnings.Add(new DataWarning("template-refused", $"{refused:N0} rows of {name} are not trained, the first {firstRefusal!.Message}"));
            if (fit.Warning(name) is { } warning) _warnings.Add(warning);
        }
    }
}
