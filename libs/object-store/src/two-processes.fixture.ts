import { openStore } from './open-store.ts';

// A process of its own that puts 0 to `count` - 1 if absent, and prints which it won: two-processes.fixture.ts STORE NAME COUNT
const [uri = '', name = '', count = '0'] = process.argv.slice(2);
const store = openStore(uri);
const won: number[] = [];
for (let i = 0; i < Number(count); i++) {
  const done = await store.put(`log/${i}`, Buffer.from(name.repeat(1_000)), { ifAbsent: true }).then(
    () => true,
    (error) => {
      if (error.kind !== 'already-exists') throw error;
      return false;
    },
  );
  if (done) won.push(i);
}
console.log(JSON.stringify(won));
