import vue from '@vitejs/plugin-vue';
import { defineConfig } from 'vite';

export default defineConfig({
  plugins: [vue()],
  resolve: { dedupe: ['vue'] }, // the client is linked, and has a Vue of its own beside it
});
