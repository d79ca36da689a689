using System.Text.Json;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Formats.Safetensors;

/// <summary>
/// Reads the JSON of a header token by token. Strict: a known set of fields, no key twice, counts and products checked
/// before they are used.
/// </summary>
internal ref struct SafetensorsHeader
{
    private const string Metadata = "__metadata__";

    private Utf8JsonReader _json;

    private SafetensorsHeader(ReadOnlySpan<byte> json) => _json = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 8 });

    /// <summary>Tensors in the order of the header, offsets relative to the data section.</summary>
    public static (List<SafetensorsTensor> Tensors, Dictionary<string, string> Metadata) Parse(ReadOnlySpan<byte> json)
    {
        if (json.IsEmpty || json[0] != '{') throw Bad(null, "the header does not begin with '{'");
        try
        {
            return new SafetensorsHeader(json).Read();
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)          // the second: text that is not UTF-8
        {
            throw new RefusedException(new Error("safetensors-header", $"the header is no JSON: {e.Message}", SafetensorsFile.Damaged), e);
        }
    }

    private (List<SafetensorsTensor>, Dictionary<string, string>) Read()
    {
        var tensors = new List<SafetensorsTensor>();
        var metadata = new Dictionary<string, string>();
        var names = new HashSet<string>();
        _json.Read();
        while (NextProperty() is { } name)
        {
            if (!names.Add(name)) throw SafetensorsFile.Refuse(name, "safetensors-duplicate", $"{name} is in the header twice");
            _json.Read();
            if (_json.TokenType != JsonTokenType.StartObject) throw Bad(name, "no object");
            if (name == Metadata) ReadMetadata(metadata);
            else tensors.Add(ReadTensor(name));
        }
        if (_json.Read()) throw Bad(null, "more than one JSON value");
        return (tensors, metadata);
    }

    private void ReadMetadata(Dictionary<string, string> metadata)
    {
        while (NextProperty() is { } key)
        {
            _json.Read();
            if (_json.TokenType != JsonTokenType.String) throw Bad(Metadata, $"{key} is no text");
            if (!metadata.TryAdd(key, _json.GetString()!)) throw SafetensorsFile.Refuse(Metadata, "safetensors-duplicate", $"{key} is there twice");
        }
    }

    private SafetensorsTensor ReadTensor(string name)
    {
        SafetensorsType? type = null;
        List<long>? shape = null, range = null;
        while (NextProperty() is { } field)
        {
            _json.Read();
            switch (field)
            {
                case "dtype" when type is null:
                    var dtype = _json.TokenType == JsonTokenType.String ? _json.GetString()! : $"{_json.TokenType}";
                    if (!Enum.GetNames<SafetensorsType>().Contains(dtype)) throw SafetensorsFile.Refuse(name, "safetensors-dtype", $"the unknown dtype {dtype}");
                    type = Enum.Parse<SafetensorsType>(dtype);
                    break;
                case "shape" when shape is null: shape = ReadNumbers(name, "safetensors-shape", 16); break;
                case "data_offsets" when range is null: range = ReadNumbers(name, "safetensors-offsets", 2); break;
                default: throw Bad(name, $"the field {field} is unknown or there twice");
            }
        }
        if (type is null || shape is null || range is not [var begin, var end]) throw Bad(name, "dtype, shape or data_offsets are missing");

        if (begin > end) throw SafetensorsFile.Refuse(name, "safetensors-offsets", $"data_offsets end at {end}, before they begin at {begin}");
        var size = (UInt128)type.Value.SizeBytes();
        foreach (var length in shape)
        {
            size *= (ulong)length;
            if (size > long.MaxValue) throw SafetensorsFile.Refuse(name, "safetensors-shape", $"{string.Join(" × ", shape)} are more elements than can be counted");
        }
        if (size != (UInt128)(end - begin))
            throw SafetensorsFile.Refuse(name, "safetensors-shape", $"{string.Join(" × ", shape)} of {type} are {size} bytes, the data has {end - begin}");
        return new SafetensorsTensor(name, shape, type.Value, begin, end - begin);
    }

    private List<long> ReadNumbers(string name, string code, int most)
    {
        if (_json.TokenType != JsonTokenType.StartArray) throw Bad(name, "no list of numbers");
        var numbers = new List<long>();
        while (_json.Read() && _json.TokenType != JsonTokenType.EndArray)
        {
            if (_json.TokenType != JsonTokenType.Number || !_json.TryGetInt64(out var number) || number < 0 || numbers.Count == most)
                throw SafetensorsFile.Refuse(name, code, "a number that is negative, broken or too large, or too many numbers");
            numbers.Add(number);
        }
        return numbers;
    }

    private string? NextProperty() => _json.Read() && _json.TokenType == JsonTokenType.PropertyName ? _json.GetString() : null;

    private static RefusedException Bad(string? field, string what) =>
        SafetensorsFile.Refuse(field, "safetensors-header", field is null ? what : $"{field}: {what}");
}
