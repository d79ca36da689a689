using System.Text.Json.Nodes;
using TokenMill.Serving.Host;
using TokenMill.Shared.ChatTemplates;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.JsonLines;

namespace TokenMill.Serving.Quantization;

/// <summary>The rows of a data set by which precision is measured, as tokens: answers of conversations are scored, of plain text everything.</summary>
internal static class PrecisionTexts
{
    /// <summary>The first rows of the file, as many as hold so many scored tokens; an example longer than the limit is cut.</summary>
    /// <exception cref="RefusedException">The data is refused, or does not fit the model.</exception>
    public static List<EncodedExample> Read(string path, ServedModel model, int scoredTokens, int longest, CancellationToken cancellationToken)
    {
        if (!File.Exists(path)) throw new RefusedException("file-not-found", $"{path} does not exist", "give --data a data set");
        var reader = new DatasetReader(path, new DatasetReaderOptions { Warnings = false });
        var (examples, missing) = (new List<EncodedExample>(), scoredTokens);
        foreach (var row in reader.Rows(cancellationToken))
        {
            foreach (var example in Encode(row, model))
            {
                var cut = Cut(example, longest, missing);
                if (cut.SupervisedTokens == 0) continue;
                examples.Add(cut);
                missing -= cut.SupervisedTokens;
                if (missing == 0) return examples;
            }
        }
        if (!reader.Report.Accepted) throw new RefusedException(reader.Report.Errors[0].Code, $"{path} has no good row: {reader.Report.Errors[0].Message}", "see ./run validate");
        return examples.Count > 0 ? examples : throw new RefusedException("nothing-to-score", $"no row of {path} has a token that can be scored", "give rows with answers, or plain text");
    }

    private static IReadOnlyList<EncodedExample> Encode(DatasetRow row, ServedModel model)
    {
        var content = row.Parse();
        try
        {
            if (content["text"] is { } text) return [Whole(model.Vocabulary.Tokenize(text.GetValue<string>(), addSpecial: true, parseSpecial: false))];
            if (content["ids"] is JsonArray ids) return [new EncodedExample(Known(ids, row.Row, model), [.. content["labels"]!.AsArray().Select(l => l!.GetValue<int>())])];
            if (content["prompt"] is JsonArray prompt) content["messages"] = new JsonArray([.. prompt.Concat(content["chosen"]!.AsArray()).Select(m => m!.DeepClone())]);
            if (content["messages"] is null) throw new RefusedException("not-sequences", $"row {row.Row} is a pair of answers in tokens", "give single sequences");
            return model.Encoder.Examples(content);
        }
        catch (RefusedException e) when (e.Error.Code == "no-chat-template")      // it knows no conversations: what they say is text to it
        {
            var text = string.Join('\n', content["messages"]!.AsArray().Select(m => m!["content"]).OfType<JsonValue>().Select(c => c.ToString()));
            return [Whole(model.Vocabulary.Tokenize(text, addSpecial: true, parseSpecial: false))];
        }
        catch (TemplateException e)
        {
            throw new RefusedException(new Error("template-refused", $"row {row.Row}: the model's chat template does not take it: {e.Message}", "change the row, or take other data"), e);
        }
    }

    private static EncodedExample Whole(int[] ids) => new(ids, ids);

    private static int[] Known(JsonArray ids, long row, ServedModel model)
    {
        int[] tokens = [.. ids.Select(id => id!.GetValue<int>())];
        return Array.TrueForAll(tokens, t => (uint)t < (uint)model.Vocabulary.Count) ? tokens
            : throw new RefusedException("unknown-token", $"row {row} has a token beyond the {model.Vocabulary.Count:N0} of the model", "encode the rows with this model's tokenizer");
    }

    /// <summary>Ends behind the last token that is scored.</summary>
    private static EncodedExample Cut(EncodedExample example, int longest, int scoredTokens)
    {
        var (length, scored) = (0, 0);
        for (var t = 1; t < Math.Min(example.Ids.Length, longest) && scored < scoredTokens; t++)
        {
            if (example.Labels[t] == EncodedExample.Unsupervised) continue;
            scored++;
            length = t + 1;
        }
        return new EncodedExample(example.Ids[..length], example.Labels[..length]);
    }
}
