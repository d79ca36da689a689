using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.JsonLines;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Features.Datasets;

/// <summary>
/// Checks a data set for one model: everything the reader finds, and beyond it what only the model's tokenizer and chat template know:
/// tokens, rows that exceed its context, rows that its template refuses or of which nothing would be learned.
/// </summary>
public static class CheckWithModel
{
    /// <param name="options">Of the reader.</param>
    /// <param name="maxTokens">Limit of a row; the model's context when left out.</param>
    public static async Task<DatasetReport> RunAsync(string path, DatasetReaderOptions options, string modelPath, int? maxTokens, TimeProvider time, CancellationToken cancellationToken)
    {
        var limit = maxTokens ?? ContextTokens(modelPath);
        var reader = new DatasetReader(path, options with { ContextTokens = int.MaxValue });
        var histogram = new TokenHistogram(limit);
        var (errors, warnings, badRows, tooLong) = (new List<RowFinding>(), new List<RowFinding>(), 0L, 0L);
        await using (var tokenizer = TokenizerProcess.Start(modelPath, time))
        {
            await foreach (var row in tokenizer.CountAsync(reader.Rows(cancellationToken), cancellationToken))
            {
                if (reader.Format == "tokens") throw new RefusedException("tokens-already", "rows of token ids need no model to count them", "leave --model out");
                var error = row.Error ?? (row.Supervised == 0 ? new Error("empty-supervision", "the model's template leaves nothing to learn in this row", "give it an answer, or remove the row") : null);
                if (error is not null)
                {
                    badRows++;
                    if (errors.Count < options.MaxFindings) errors.Add(new RowFinding(row.Row, row.Record, "messages", error.Code, $"{error.Message}; {error.Remedy}"));
                    continue;
                }
                histogram.Add(row.Tokens, row.Supervised);
                if (row.Tokens <= limit) continue;
                tooLong++;
                if (warnings.Count < options.MaxFindings) warnings.Add(new RowFinding(row.Row, row.Record, "messages", "too-long", $"{row.Tokens:N0} tokens, the limit is {limit:N0}: it is cut or left out in training; split the row"));
            }
        }
        return reader.Report.With(errors, badRows, warnings, tooLong, histogram.Statistics(), options.MaxFindings);
    }

    private static int ContextTokens(string modelPath)
    {
        using var model = GgufFile.Open(modelPath);
        var architecture = model.Metadata.String("general.architecture");
        return (int)Math.Min(int.MaxValue, model.Metadata.UInt32($"{architecture}.context_length"));
    }
}
