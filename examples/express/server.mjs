// A shop that tells its customers what happens to their orders.
import express from 'express';
import { Pushwire, PushwireError } from 'pushwire-sender';

const { PUSHWIRE: url = 'http://localhost:8000', SHOP_KEY: key, PORT = 3000 } = process.env;
const push = new Pushwire({ url, key, sender: 'shop' });
const app = express();

// The key makes it one message, however often the order is shipped again.
app.post('/orders/:order/ship', async ({ params: { order }, query: { customer } }, response) => {
  const message = { title: `Order ${order} is on its way`, url: `/orders/${order}` };
  const { id, delivered } = await push.send(customer, message, { key: `order-${order}-shipped` });
  response.json({ message: id, seenNow: delivered > 0 });
});

// What the customer's page connects with.
app.get('/push-token', async ({ query: { user } }, response) => {
  const { token } = await push.token(user); // the user of your session, not of the query
  response.set('Cache-Control', 'no-store').json({ token });
});

app.use((error, _request, response, _next) => {
  const status = error instanceof PushwireError ? 502 : 500;
  response.status(status).json({ error: error.message });
});

app.listen(PORT, () => console.log(`http://localhost:${PORT}`));
