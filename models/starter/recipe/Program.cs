using System.Security.Cryptography;
using System.Text;
using TokenMill.Recipe;
using TokenMill.Shared.Llama;

// The text of the starter model. Every run writes the same bytes; their SHA-256 stand in corpus.sha256 beside this file.
//   dotnet run --project models/starter/recipe -- corpus FOLDER            train.jsonl, held-out.jsonl, and the conversations of both: chat.jsonl, held-out-chat.jsonl
//   dotnet run --project models/starter/recipe -- tokens FOLDER TOKENIZER  the same as token ids: train-tokens.jsonl, held-out-tokens.jsonl
var corpus = Corpus.Generate(Grammar.Load(Path.Combine(AppContext.BaseDirectory, "content")));
switch (args)
{
    case ["corpus", var folder]:
        Write(folder, "train.jsonl", Corpus.ToJsonLines(corpus.Train));
        Write(folder, "held-out.jsonl", Corpus.ToJsonLines(corpus.HeldOut));
        Write(folder, "chat.jsonl", Corpus.ToJsonLines(Conversations(corpus.Train)));
        Write(folder, "held-out-chat.jsonl", Corpus.ToJsonLines(Conversations(corpus.HeldOut)));
        return 0;
    case ["tokens", var folder, var tokenizer]:
        using (var vocabulary = LlamaVocabulary.Load(tokenizer))
        {
            var rows = TokenRows.Of(vocabulary, tokenizer);
            Write(folder, "train-tokens.jsonl", Lines(corpus.Train.Select(rows.ToJson)));
            Write(folder, "held-out-tokens.jsonl", Lines(corpus.HeldOut.Select(rows.ToJson)));
        }
        return 0;
    default:
        Console.Error.WriteLine("usage: corpus FOLDER | tokens FOLDER TOKENIZER.gguf");
        return 2;
}

static IReadOnlyList<Row> Conversations(IEnumerable<Row> rows) => [.. rows.Where(r => r.Messages is not null)];

static byte[] Lines(IEnumerable<string> lines) => Encoding.UTF8.GetBytes(string.Concat(lines.Select(l => l + "\n")));

static void Write(string folder, string name, byte[] bytes)
{
    Directory.CreateDirectory(folder);
    File.WriteAllBytes(Path.Combine(folder, name), bytes);
    Console.WriteLine($"{Convert.ToHexStringLower(SHA256.HashData(bytes))}  {name}");
}
