Console.Error.WriteLine("usage: bench train|serve"); return 2;
