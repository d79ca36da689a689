using TokenMill.Shared.Formats.JsonLines;

namespace TokenMill.Shared.Tests.Formats.JsonLines;

/// <summary>What is taken for personal data, seen through the reader; everything here is invented.</summary>
public sealed class PersonalDataTests : IDisposable
{
    private readonly string _path = Path.GetTempFileName();

    public void Dispose() => File.Delete(_path);

    [Theory]
    [InlineData("write to jane@example.co.uk, call 13912345678, card 4111111111111111", "email card phone")]
    [InlineData("电话13912345678，卡号4111 1111 1111 1111", "card phone")]
    [InlineData("Server 10.0.0.5:8080 and fe80::1ff:fe23:4567:890a", "ip")]
    [InlineData("-----BEGIN RSA PRIVATE KEY-----", "secret")]
    [InlineData("DE89 3704 0044 0532 0130 00 is an account", "iban")]
    [InlineData("身份证 11010519491231002X", "national-id")]
    [InlineData("std::vector a::b at 12:30:45 on 2024-01-05, pi is 3.14159265358979", "")]
    [InlineData("order 1234567890123456, version 1.2.3.4, ISBN 978-3-16-148410-0, 127.0.0.1", "")]
    [InlineData("the commit is 8f3e1c2b9a7d6054 and the year 2024", "")]
    public void Check_Text_NamesEachKindOnce(string text, string kinds)
    {
        File.WriteAllText(_path, $$"""{"messages":[{"role":"user","content":"{{text}}"},{"role":"assistant","content":"ok"}]}""");
        var found = DatasetReader.Check(_path).Warnings.Where(w => w.Code == "pii");
        Assert.Equal(kinds.Split(' ', StringSplitOptions.RemoveEmptyEntries).Order(), found.Select(w => w.Type!).Order());
    }
}
